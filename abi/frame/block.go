package frame

import (
	"github.com/tidemill/tidemill/abi"
)

// BlockBytes is the size of a rows block of rows [from, to) of columns.
func BlockBytes(columns []Column, from, to int) int {
	n := align(abi.BlockSize + abi.NodeSize*nodesOf(columns))
	for i := range columns {
		n += columns[i].bufferBytes(from, to)
	}
	return n
}

// PutBlock writes a rows block of rows [from, to) of columns to dst, which has BlockBytes at least.
func PutBlock(dst []byte, columns []Column, from, to int) {
	n, nodes := BlockBytes(columns, from, to), nodesOf(columns)
	dst = dst[:n]
	body := align(abi.BlockSize + abi.NodeSize*nodes)
	clear(dst[abi.BlockSize+abi.NodeSize*nodes : body])
	putCounts(dst, to-from, len(columns), nodes, n)
	putColumns(dst, abi.BlockSize, body, columns, from, to)
}

// DecodeBlock appends the columns of a rows block to dst and returns them with the number of rows. The block may be shorter than
// b; its fields and the number of rows are checked against the given ones, rows < 0 meaning any. The error is a *Violation.
func DecodeBlock(b []byte, fields []abi.FieldType, rows int, dst []Column) ([]Column, int, error) {
	if len(b) < abi.BlockSize {
		return nil, 0, abi.Broken("%d bytes, a block has %d at least", len(b), abi.BlockSize).In("block")
	}
	have, columns, nodes, total := u32(b), u32(b[4:]), u32(b[8:]), u32(b[12:])
	if uint64(total) > uint64(len(b)) || total < abi.BlockSize {
		return nil, 0, abi.Broken("total length %d of %d bytes", total, len(b)).In("block")
	}
	if uint64(columns) != uint64(len(fields)) {
		return nil, 0, abi.Broken("%d columns, declared are %d", columns, len(fields)).In("block")
	}
	if rows >= 0 && uint64(have) != uint64(rows) {
		return nil, 0, abi.Broken("%d rows where there must be %d", have, rows).In("block")
	}
	if have > abi.FrameBytesMax {
		return nil, 0, abi.Broken("%d rows", have).In("block")
	}
	s := section{end: int(total)}
	run, err := s.nodes(b, abi.BlockSize, columns, nodes)
	if err != nil {
		return nil, 0, err.In("block")
	}
	sp := space{frame: b, end: int(total)}
	for i := range fields {
		c, rest, err := sp.column(run, int(have), fields[i].Type)
		switch {
		case err != nil:
		case c.Pass != 0:
			err = abi.Broken("nothing can be passed through here")
		case c.Nulls > 0 && !fields[i].Nullable:
			err = abi.Broken("%d nulls in a column that is not nullable", c.Nulls)
		}
		if err != nil {
			return nil, 0, err.In("block column %q", fields[i].Name)
		}
		run, dst = rest, append(dst, c)
	}
	if err := noNodes(run); err != nil {
		return nil, 0, err.In("block")
	}
	return dst, int(have), nil
}
