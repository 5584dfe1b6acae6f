"""What tests of several folders use: sites of real servers, writers, oracles, proxies."""
