//! The first process of a container (`outrider task-init`): it starts steps and ends them, and is
//! spoken to over one stream of bytes.
