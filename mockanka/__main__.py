"""The command line, for ``python -m mockanka``."""

from mockanka.cli.main import main

main()
