from mockanka.cli import main

main()
