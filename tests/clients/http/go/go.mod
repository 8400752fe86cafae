module mockanka/httpclient

go 1.19
