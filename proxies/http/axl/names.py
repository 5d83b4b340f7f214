"""The names of AXL: namespaces, versions, paths."""

from typing import Final

API: Final = "http://www.cisco.com/AXL/API/9.0"
"The namespace of the product's operations, with the version of its schema."

SERVICE: Final = "http://www.cisco.com/AXLAPIService/"
"The namespace of the WSDL."

LAB: Final = "urn:x-imp-harness:axl"
"The namespace of the operations that only the lab has."

ACTION: Final = "CUCM:DB ver=9.0"
"How the SOAPAction of a request begins: the database and the version of its schema."

PATH: Final = "/axl/"
"Where requests are posted."

TOOLKIT_PATH: Final = "/plugins/axlsqltoolkit.zip"
"Where the product's plug-in page gives away the toolkit, with the WSDL in it."

VERSION: Final = "9.0.1.10000-37"
"What getCCMVersion answers."
