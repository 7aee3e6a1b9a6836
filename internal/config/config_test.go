package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecs/internal/config"
)

type sample struct {
	Address string        `yaml:"address"`
	Wait    time.Duration `yaml:"wait"`
	Inner   struct {
		Names []string `yaml:"names"`
	} `yaml:"inner"`
}

var errCheck = errors.New("wait is below zero")

func (s *sample) Check() error {
	if s.Wait < 0 {
		return errCheck
	}
	return nil
}

func TestParse(t *testing.T) {
	cases := []struct {
		name, text string
		fails      string // part of the error; empty when it is accepted
	}{
		{"whole", "address: 127.0.0.1:1\nwait: 90s\ninner:\n  names: [a, b]\n", ""},
		{"empty keeps defaults", "", ""},
		{"comment only", "# nothing\n", ""},
		{"unknown key", "address: x\nadress: y\n", "[2:1]"},
		{"unknown inner key", "inner:\n  name: y\n", "[2:3]"},
		{"key twice", "address: x\naddress: y\n", "[2:1]"},
		{"wrong type", "address: x\nwait: [1]\n", "[2:7]"},
		{"not YAML", "address: [\n", "[1:10]"},
		{"two documents", "address: x\n---\naddress: y\n", "second document"},
		{"check", "wait: -1s\n", errCheck.Error()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := sample{Address: "default"}
			err := config.Parse([]byte(c.text), &s)
			if c.fails == "" {
				if err != nil || s.Address == "" {
					t.Fatalf("%+v, %v", s, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Fatalf("%+v, %v", s, err)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "hub.yaml")
	err := os.WriteFile(path, []byte("wait: 1m30s\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s := sample{Address: "default"}
	err = config.Load(path, &s)
	if err != nil || s.Wait != 90*time.Second || s.Address != "default" {
		t.Fatalf("%+v, %v", s, err)
	}
	err = os.WriteFile(path, []byte("x: "+strings.Repeat("y", config.MaxSize)), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Join(dir, "absent"), dir} {
		err = config.Load(p, &s)
		if err == nil {
			t.Errorf("%s was accepted", p)
		}
	}
}
