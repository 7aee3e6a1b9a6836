// Package people keeps who holds which role at the hub: roles are granted by two
// persons, reviewed every 90 days, delegated for some days, given in an emergency
// for some hours, and rest while a person's training has run out (separation of
// duty SOD-2, SOD-3, SOD-7, SOD-8 and SOD-9, accountability A3; docs/formats/people.md).
//
// It is NOT for what a role may do (hub/internal/access and the packages that act),
// nor for signing in (internal/signin, which asks [Register.Effective] with each
// request).
//
// Invariants:
//   - No role counts without two different persons, the holder being neither; the
//     only exception are accounts of the configuration file at the first start,
//     whose second person is whoever administers the machine.
//   - People are counted and not accounts: all accounts of one person are looked at
//     for roles that nobody may hold together.
//   - Nothing here is deleted: grants end.
package people
