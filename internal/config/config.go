// Package config reads a role's configuration: one YAML file into one struct
// whose fields have a comment each. Unknown keys, keys given twice and values of
// the wrong type are refused with their line. It is for files that an operator
// wrote, never for input from the network.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"
)

// MaxSize bounds a configuration file, in bytes.
const MaxSize = 1 << 20

// Checker is what a configuration may implement to refuse values that are of
// the right type but make no sense together.
type Checker interface{ Check() error }

// Load reads the file into cfg, which holds the defaults, and calls its Check
// when it has one.
func Load(path string, cfg any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return fmt.Errorf("config: read %s: %w", path, err)
	}
	if len(text) > MaxSize {
		return fmt.Errorf("config: %s is longer than %d bytes", path, MaxSize)
	}
	err = Parse(text, cfg)
	if err != nil {
		return fmt.Errorf("config: %s: %w", path, err)
	}
	return nil
}

// Parse reads text into cfg as [Load] does. Empty text leaves the defaults.
func Parse(text []byte, cfg any) error {
	d := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(), yaml.DisallowUnknownField())
	// The decoder would clear cfg for a text without content.
	var content any
	err := yaml.Unmarshal(text, &content)
	if err == nil && content == nil {
		return check(cfg)
	}
	err = d.Decode(cfg)
	if err != nil {
		return errors.New(yaml.FormatError(err, false, true))
	}
	var more any
	err = d.Decode(&more)
	if !errors.Is(err, io.EOF) {
		return errors.New("a second document follows; a configuration is one")
	}
	return check(cfg)
}

func check(cfg any) error {
	c, ok := cfg.(Checker)
	if !ok {
		return nil
	}
	return c.Check()
}
