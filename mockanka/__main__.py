"""``python -m mockanka`` is the command line."""

from mockanka.cli.main import main

main()
