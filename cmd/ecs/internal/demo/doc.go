// Package demo is the neighborhood in which the demonstration runs: an upstream
// resolver, a mail server with the milter in front of it, a box where accepted
// mail ends, and customers who look up names, send mail and export flows. All of
// it is on loopback, on reserved names and addresses (RFC 2606, RFC 5737), and
// made up.
//
// It is no part of the product: it knows neither house, and talks to them as
// anybody would, over the network.
package demo
