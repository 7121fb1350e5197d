// Package all makes every connector and every format known: a program that imports it can run any job.yaml.
package all

import (
	// They register themselves.
	_ "github.com/tidemill/tidemill/connectors/blackhole"
	_ "github.com/tidemill/tidemill/connectors/collect"
	_ "github.com/tidemill/tidemill/connectors/datagen"
	_ "github.com/tidemill/tidemill/connectors/file"
	_ "github.com/tidemill/tidemill/connectors/format/csv"
	_ "github.com/tidemill/tidemill/connectors/format/json"
	_ "github.com/tidemill/tidemill/connectors/format/raw"
	_ "github.com/tidemill/tidemill/connectors/stdout"
)
