package csv

import "errors"

var errDelimiter = errors.New("want one ASCII character that is no quote and no line end")
