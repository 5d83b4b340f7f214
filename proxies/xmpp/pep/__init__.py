"""Personal eventing (PEP, XEP-0163): what users publish under their own addresses, and who hears of it."""
