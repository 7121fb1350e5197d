package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/runtime/checkpoint/segment"
)

// A manifest at rest is text:
//
//	tidemill manifest 1 <XXH3-64 of the line so far, 16 hex digits>
//	{ ... the Manifest as JSON, indented ... }
//	sha256 <of everything before this line, 64 hex digits>
//
// The first line has the same form in every version, so that a damaged version is not taken for a newer one.
const (
	manifestMagic   = "tidemill manifest "
	manifestTrailer = "sha256 "

	// ManifestVersion is the format that this build writes, and the newest that it reads.
	ManifestVersion = 1

	// ManifestBytesMax limits a manifest, so that reading a damaged one cannot fill memory: about 200,000 splits.
	ManifestBytesMax = 64 << 20
)

// trailerBytes is the length of the last line.
const trailerBytes = len(manifestTrailer) + 2*sha256.Size + 1

// Encode returns the bytes of the manifest at rest; equal manifests give equal bytes.
func (m *Manifest) Encode() ([]byte, error) {
	m.normalize()
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("encoding manifest of checkpoint %d: %w", m.Checkpoint, err)
	}
	body, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encoding manifest of checkpoint %d: %w", m.Checkpoint, err)
	}
	content := seal(manifestHead(ManifestVersion), body)
	if len(content) > ManifestBytesMax {
		return nil, ErrLimit.Errorf("the manifest of checkpoint %d has %d bytes, more than the limit of %d", m.Checkpoint, len(content),
			ManifestBytesMax).Do("the manifest grows with the splits of the sources: use fewer and larger files or partitions")
	}
	return content, nil
}

func manifestHead(version int) string {
	line := manifestMagic + strconv.Itoa(version) + " "
	return fmt.Sprintf("%s%016x\n", line, xxh3.HashString(line))
}

func seal(head string, body []byte) []byte {
	content := make([]byte, 0, len(head)+len(body)+1+trailerBytes)
	content = append(append(append(content, head...), body...), '\n')
	sum := sha256.Sum256(content)
	return append(hex.AppendEncode(append(content, manifestTrailer...), sum[:]), '\n')
}

// ManifestDigest is the hash by which the next manifest names this one.
func ManifestDigest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// DecodeManifest reads the bytes of the manifest file of that name. Any change of any byte is an ErrDamaged; a manifest of a newer
// format is an ErrNewer.
func DecodeManifest(file string, content []byte) (*Manifest, error) {
	end := bytes.IndexByte(content, '\n') + 1
	version, ok := parseManifestHead(string(content[:end]))
	if !ok {
		return nil, segment.Damaged(file, 0, "the first line is not that of a manifest")
	}
	if version != ManifestVersion {
		return nil, segment.Newer(file, version, ManifestVersion)
	}
	body := len(content) - trailerBytes
	if body < end {
		return nil, segment.Damaged(file, int64(len(content)), "the file ends too early")
	}
	sum := sha256.Sum256(content[:body])
	if string(content[body:]) != manifestTrailer+hex.EncodeToString(sum[:])+"\n" {
		return nil, segment.Damaged(file, -1, "the checksum in its last line does not fit its bytes")
	}
	m := new(Manifest)
	decoder := json.NewDecoder(bytes.NewReader(content[end:body]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(m); err != nil {
		return nil, segment.Damaged(file, int64(end), "its JSON cannot be read: %v", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, segment.Damaged(file, int64(end), "there is more after its JSON")
	}
	m.normalize()
	if err := m.check(); err != nil {
		return nil, segment.Damaged(file, int64(end), "%v", err)
	}
	if want := ManifestName(m.Checkpoint); file != want {
		return nil, segment.Damaged(file, -1, "it is the manifest of checkpoint %d and belongs into %s", m.Checkpoint, want)
	}
	return m, nil
}

// parseManifestHead accepts exactly what manifestHead makes for some version.
func parseManifestHead(line string) (version int, ok bool) {
	if len(line) < len(manifestMagic) || line[:len(manifestMagic)] != manifestMagic {
		return 0, false
	}
	digits, _, _ := bytes.Cut([]byte(line[len(manifestMagic):]), []byte(" "))
	version, err := strconv.Atoi(string(digits))
	return version, err == nil && version > 0 && manifestHead(version) == line
}
