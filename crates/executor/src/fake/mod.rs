//! A scripted executor: no processes, exact control.

use serde::{Deserialize, Serialize};

/// Names a fake environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FakeHandle {}
