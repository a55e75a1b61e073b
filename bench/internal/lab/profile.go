//go:build unix

package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// profile saves what the profiled worker does in the window, for go tool pprof and
// go tool trace.
func (s *Scene) profile(ctx context.Context, window time.Duration) error {
	seconds := int(window.Seconds())
	for _, p := range []struct{ name, query string }{
		{"profile", fmt.Sprintf("seconds=%d", max(1, seconds-4))},
		{"allocs", ""},
		{"heap", ""}, {"goroutine", ""},
		{"watch", "seconds=2"}, {"mutex", ""}, {"block", ""},
		{"trace", "seconds=1"},
	} {
		if err := s.save(ctx, p.name, p.query); err != nil {
			return err
		}
	}
	return nil
}

// Profile is the name of one of the profiles that were saved, such as profile (CPU)
// or allocs.
func (s *Scene) Profile(name string) string {
	return filepath.Join(s.lab.Dir, s.prefix+s.o.Contender+"."+name)
}

func (s *Scene) save(ctx context.Context, name, query string) error {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.lab.at(portProfile)+"/debug/pprof/"+name+"?"+query, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the profile %s: %s", name, answer.Status)
	}
	file, err := os.Create(s.Profile(name))
	if err != nil {
		return err
	}
	_, err = io.Copy(file, answer.Body)
	if failed := file.Close(); err == nil {
		err = failed
	}
	return err
}
