// Package job reads what the user wrote: a job.yaml.
//
// Parse finds every error that the file alone shows and returns them all, up to ErrorsMax, each with file:line:column and what to
// do: unknown fields with the nearest known name, values of a wrong type, names that nothing has, operators in a circle, sources
// that nothing reads. What needs a look at data or modules (columns, ports, parameters) is for package plan.
//
// The fields are declared once (declare.go, with connectors/spec): the parser, the JSON schema and docs/reference/job.md come from
// that declaration. Fields of a connector belong to the connector, which registers its own; so Parse knows the connectors that
// the program has linked.
//
// Values may be ${NAME} or ${NAME:-default}, from the environment, and where the declaration says that a field is a secret,
// ${secret:name} (I12): secrets.go says where those come from. The limits of a file (I8) are those of package spec and the ones here.
package job
