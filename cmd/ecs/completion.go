package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh" help:"bash or zsh."`
}

// Help teaches the command.
func (*completionCmd) Help() string {
	return `The script completes commands, flags and the values of flags that have a closed list.

  ecs completion bash >~/.local/share/bash-completion/completions/ecs
  source <(ecs completion zsh)`
}

// Run prints a script for a shell.
func (c *completionCmd) Run(k *kong.Context) error {
	if c.Shell == "zsh" {
		fmt.Println("autoload -U +X bashcompinit && bashcompinit")
	}
	return complete(os.Stdout, k.Model.Node)
}

// complete writes a script for bash: which commands there are, and for each what may
// follow it.
func complete(w io.Writer, app *kong.Node) error {
	var paths, follow, values strings.Builder
	var walk func(n *kong.Node, path string)
	walk = func(n *kong.Node, path string) {
		var words []string
		for _, child := range n.Children {
			if child.Type != kong.CommandNode || child.Hidden {
				continue
			}
			words = append(words, child.Name)
			fmt.Fprintf(&paths, "      %q) path=\"$path $w\" ;;\n", path+" "+child.Name)
			walk(child, path+" "+child.Name)
		}
		for _, group := range n.AllFlags(true) {
			for _, f := range group {
				words = append(words, "--"+f.Name)
				if f.Enum != "" {
					fmt.Fprintf(&values, "    %q) words=%q ;;\n", path+" --"+f.Name, strings.Join(strings.FieldsFunc(f.Enum, func(r rune) bool { return r == ',' }), " "))
				}
			}
		}
		for _, a := range n.Positional {
			if a.Enum != "" {
				words = append(words, strings.FieldsFunc(a.Enum, func(r rune) bool { return r == ',' })...)
			}
		}
		fmt.Fprintf(&follow, "    %q) words=%q ;;\n", path, strings.Join(words, " "))
	}
	walk(app, "")
	_, err := fmt.Fprintf(w, `_ecs() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= words= w
  for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $w" in
%s    esac
  done
  case "$path" in
%s  esac
  case "$path $prev" in
%s  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _ecs ecs
`, paths.String(), follow.String(), values.String())
	return err
}
