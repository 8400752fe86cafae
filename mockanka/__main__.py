"""``python -m mockanka`` is the command line."""

from mockanka.cli import main

main()
