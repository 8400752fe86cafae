"""``mockanka proxy``: traffic passed on byte for byte, read on the side, judged and recorded."""
