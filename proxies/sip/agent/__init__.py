"""The user agent: requests with an outcome, calls, subscriptions."""
