module github.com/tidemill/tidemill/runtime/bench/languages/guests/go

go 1.26

require github.com/tidemill/tidemill/sdk-go v0.0.0

replace github.com/tidemill/tidemill/sdk-go => ../../../../../sdk-go
