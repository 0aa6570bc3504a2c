//! Which keys a step means.

use outrider_api::data::SshKey;

/// The keys with these fingerprints; all of them if none is named. Says which are not there.
pub fn choose<'a>(keys: &'a [SshKey], fingerprints: &[String]) -> Result<Vec<&'a SshKey>, String> {
    if fingerprints.is_empty() {
        return Ok(keys.iter().collect());
    }
    let mut chosen: Vec<&SshKey> = Vec::new();
    for fingerprint in fingerprints {
        let found = keys.iter().find(|key| is_of(fingerprint, key));
        let found = found.ok_or_else(|| not_there(fingerprint, keys))?;
        if !chosen.contains(&found) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// MD5 with or without `MD5:` before it, SHA-256 with or without `SHA256:` and padding.
fn is_of(fingerprint: &str, key: &SshKey) -> bool {
    let plain = fingerprint.trim();
    let md5 = plain.strip_prefix("MD5:").unwrap_or(plain);
    let sha256 = plain.strip_prefix("SHA256:").unwrap_or(plain);
    let known = key.fingerprint.trim_start_matches("SHA256:");
    md5.eq_ignore_ascii_case(&key.fingerprint_md5) || sha256.trim_end_matches('=') == known
}

fn not_there(fingerprint: &str, keys: &[SshKey]) -> String {
    let there = keys
        .iter()
        .map(|key| format!("\n  {} (MD5:{})", key.fingerprint, key.fingerprint_md5));
    let there: String = there.collect();
    format!("the project has no SSH key with the fingerprint {fingerprint}. It has:{there}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(sha256: &str, md5: &str) -> SshKey {
        SshKey {
            fingerprint: format!("SHA256:{sha256}"),
            fingerprint_md5: md5.to_owned(),
            public_key: String::new(),
            host: None,
            private_key: "private".to_owned(),
        }
    }

    #[test]
    fn keys_are_found_however_their_fingerprint_is_spelled() {
        let keys = [key("AbC/+1", "aa:bb"), key("dEf", "cc:dd")];
        for spelled in [
            "aa:bb",
            "MD5:AA:BB",
            "AbC/+1",
            "SHA256:AbC/+1",
            "SHA256:AbC/+1=",
        ] {
            let chosen = choose(&keys, &[spelled.to_owned()]).unwrap();
            assert_eq!(chosen, [&keys[0]], "{spelled}");
        }
        assert_eq!(choose(&keys, &[]).unwrap(), [&keys[0], &keys[1]]);
        let named = ["dEf", "cc:dd", "aa:bb"].map(str::to_owned);
        assert_eq!(choose(&keys, &named).unwrap(), [&keys[1], &keys[0]]);
    }

    #[test]
    fn a_key_that_is_not_there_is_said_with_those_that_are() {
        let keys = [key("AbC", "aa:bb"), key("dEf", "cc:dd")];
        for wrong in ["abc", "SHA256:", "", "MD5:", "aa"] {
            let error = choose(&keys, &["dEf".to_owned(), wrong.to_owned()]).unwrap_err();
            let there = "SHA256:AbC (MD5:aa:bb)\n  SHA256:dEf (MD5:cc:dd)";
            assert!(error.contains(there), "{error}");
            assert!(!error.contains("private"), "{error}");
        }
    }
}
