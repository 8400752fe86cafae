"""Measurements of mockanka beside what it is compared with. They need wrk."""
