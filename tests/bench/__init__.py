"""How fast the authority answers, beside its peers, in the same run on the same cores: `make bench`.

`field` starts, by way of `servers`, the authority with one and with two workers, `stock` (pysaml2 as it comes) and `floor` (what cannot
be saved), and the `sources` of `peers`, which resolve what the authority does not know.
`rounds` puts the same signed `queries` and JSON `lookups` about the same million people of `population` to each in turn, by way of
`load`, and reads from `machine` what that cost (`measuring`); `resolving` asks the sources without an authority around them, and
`privacy` compares answers that must not be told apart. `deliveries` go to the `sinks`; `meanwhile` looks at answers while they do, and
`claims` at the books alone, among a million that are `parked`. `report` lays out medians, `targets` are what they are held against.
What counts is the processor time of the server per query and its ratio to the peers: requests per second depend on the machine.
"""
