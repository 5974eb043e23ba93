"""How fast the authority answers, beside its peers, in the same run on the same cores: `make bench`.

`servers` starts the authority with one and with two workers, `stock` (pysaml2 as it comes) and `floor` (what cannot be saved).
`rounds` puts the same signed `queries` about the same million people of `population` to each in turn, by way of `load`,
and reads from `machine` what that cost; `report` compares medians with the targets.
What counts is the processor time of the server per query and its ratio to the peers: requests per second depend on the machine.
"""
