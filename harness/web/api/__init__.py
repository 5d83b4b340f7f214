"""The JSON API: the functions of the pages for programs, described by OpenAPI. Imported at the first request."""
