// Package demo shows that a stateful job survives a kill -9 with exact results, and checks every claim it makes.
//
// It unpacks an example (data, job, module, expected rows) into a folder and runs it in a worker process, slowed to about ten
// seconds with a checkpoint every 200 ms. In the middle it kills the worker with SIGKILL and starts another, which goes on from
// the newest checkpoint. When that has finished, all published rows are compared with the expected ones, which another program
// in another language made; then the job runs once more at full speed and is compared again.
//
// Worker and demo talk over the worker's standard output, a JSON Message a line. The demo imports no engine: what it says about
// the job it has from messages, from the published files, and from the checkpoint store.
package demo
