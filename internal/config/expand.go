package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// pureReference is a value that is nothing but one reference: it can be shown.
var pureReference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*|file:[^{}]*)\}$`)

var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${NAME} by the environment's value and ${file:PATH} by a file's
// content, its last newline cut; $${ stands for ${ itself. What it puts in is not
// looked at again. The error names what is missing and never what was found.
func (d *document) expand(text string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		if strings.HasSuffix(before, "$") {
			out.WriteString("{") // the first $ is there already
			text = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("${ without its }; write $${ for the characters themselves")
		}
		value, err := d.reference(name)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		text = after
	}
}

func (d *document) reference(name string) (string, error) {
	if path, isFile := strings.CutPrefix(name, "file:"); isFile {
		content, err := os.ReadFile(d.path(path))
		if err != nil {
			return "", fmt.Errorf("${%s}: %w", name, err)
		}
		value := strings.TrimSuffix(string(content), "\n")
		return strings.TrimSuffix(value, "\r"), nil
	}
	if !environmentName.MatchString(name) {
		return "", errors.New("a reference is ${NAME}, of letters, digits and _, or ${file:PATH}") // what stands there may be the secret itself
	}
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", fmt.Errorf("the environment variable %s is not set", name)
	}
	return value, nil
}

// path resolves a file name against the folder of the configuration file.
func (d *document) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(d.file), name)
}
