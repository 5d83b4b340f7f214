"""What a node's Cisco Tomcat serves of the harness's: administration pages, the JSON API, sessions."""
