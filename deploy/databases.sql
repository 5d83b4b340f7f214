-- Each cluster has a database of its own; POSTGRES_DB has made the first.
CREATE DATABASE cucm OWNER lab;
