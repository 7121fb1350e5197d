// Package frame reads the frames that the host sends and builds the answers: the guest's half of the codec that package abi of
// Tidemill holds for the host. The layout is in the comments of package abi.
//
// A Reader gives views of the frame without copying and trusts it, because the host wrote it: offsets are not checked. Nothing
// here allocates once buffers have grown to what a job's frames need. A Reader or Builder is for one goroutine.
package frame
