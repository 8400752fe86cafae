module example.com/anka

go 1.21
