"""What the lake's tables carry as properties: version of the schema, exchange and scope."""
