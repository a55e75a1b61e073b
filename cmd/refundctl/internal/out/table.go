package out

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Column of a table whose rows are T.
type Column[T any] struct {
	Name  string
	Wide  bool // with -o wide only
	Width int  // at least; of a stream, whose rows come one by one
	Cell  func(T) string
}

// Rows writes rows of T in a format: a table's header before the first of them.
type Rows[T any] struct {
	w       io.Writer
	format  Format
	columns []Column[T]
	begun   bool
}

// NewRows makes a writer of rows.
func NewRows[T any](w io.Writer, f Format, columns []Column[T]) *Rows[T] {
	r := &Rows[T]{w: w, format: f}
	for _, c := range columns {
		if !c.Wide || f == Wide {
			r.columns = append(r.columns, c)
		}
	}
	return r
}

// Row writes one row as it comes: its columns have their least width.
func (r *Rows[T]) Row(v T) error {
	if r.format == JSON {
		return Object(r.w, v)
	}
	widths := make([]int, len(r.columns))
	for i, c := range r.columns {
		widths[i] = max(c.Width, len(c.Name))
	}
	return r.line(widths, v)
}

// All writes rows that are known, each column as wide as its widest cell.
func (r *Rows[T]) All(rows []T) error {
	if r.format == JSON {
		for _, v := range rows {
			if err := Object(r.w, v); err != nil {
				return err
			}
		}
		return nil
	}
	widths := make([]int, len(r.columns))
	for i, c := range r.columns {
		widths[i] = len(c.Name)
		for _, v := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r.cell(c, v)))
		}
	}
	for _, v := range rows {
		if err := r.line(widths, v); err != nil {
			return err
		}
	}
	return nil
}

// cell is fit for a terminal, and masked unless it is one of our own names.
func (r *Rows[T]) cell(c Column[T], v T) string {
	text := Clean(c.Cell(v))
	if c.Name == "refund_no" || c.Name == "merchant" {
		return text
	}
	return Mask(r.w, text)
}

func (r *Rows[T]) line(widths []int, v T) error {
	if !r.begun {
		r.begun = true
		names := make([]string, len(r.columns))
		for i, c := range r.columns {
			names[i] = strings.ToUpper(c.Name)
		}
		if err := r.write(widths, names); err != nil {
			return err
		}
	}
	cells := make([]string, len(r.columns))
	for i, c := range r.columns {
		cells[i] = r.cell(c, v)
	}
	return r.write(widths, cells)
}

func (r *Rows[T]) write(widths []int, cells []string) error {
	var b strings.Builder
	for i, cell := range cells {
		if cell == "" {
			cell = "-"
		}
		b.WriteString(cell)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell))+2))
		}
	}
	_, err := io.WriteString(r.w, strings.TrimRight(b.String(), " ")+"\n")
	return err
}
