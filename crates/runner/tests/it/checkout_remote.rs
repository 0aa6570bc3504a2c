//! `checkout` from servers that want credentials.
