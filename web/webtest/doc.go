// Package webtest is for the tests of both consoles: it checks that a page is
// well built, drives a real browser, and runs axe-core in it. It is not part of
// the program.
package webtest
