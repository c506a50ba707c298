"""The OpenAPI document of the gateway, and its pages for people, made from the table of endpoints."""
