module github.com/tidemill/tidemill/sdk-go

go 1.26
