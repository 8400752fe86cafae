"""``python -m mockanka`` is the command line."""

from mockanka.cli.commands import main

main()
