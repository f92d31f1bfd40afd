//! Page tokens: opaque, sealed, and bound to their list.

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// Bytes of the seal at the beginning of a token.
const SEAL: usize = 16;

/// The most characters of a token; a longer text is not looked at.
const MAX_LEN: usize = 1024;

/// Makes and reads page tokens. A token is a seal (a keyed BLAKE3 hash of the list's scope and the payload) and the
/// payload (the sort key), in base64url.
pub(crate) struct PageTokens {
    key: [u8; 32],
}

impl PageTokens {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The token that goes on after `sort_key` in the list of this scope: world, selector and order.
    pub(crate) fn seal<K: Serialize>(&self, scope: &str, sort_key: &K) -> Result<String, Error> {
        let payload = serde_json::to_vec(sort_key).map_err(|_| Error::InvalidPageToken)?;
        let token = [&self.mac(scope, &payload)[..], &payload].concat();
        Ok(BASE64URL_NOPAD.encode(&token))
    }

    /// The sort key in a token of this scope.
    pub(crate) fn open<K: DeserializeOwned>(&self, scope: &str, token: &str) -> Result<K, Error> {
        if token.len() > MAX_LEN {
            return Err(Error::InvalidPageToken);
        }
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| Error::InvalidPageToken)?;
        let (seal, payload) = bytes.split_first_chunk::<SEAL>().ok_or(Error::InvalidPageToken)?;
        // BLAKE3's comparison takes the same time wherever the difference is.
        if padded(seal) != padded(&self.mac(scope, payload)) {
            return Err(Error::InvalidPageToken);
        }
        serde_json::from_slice(payload).map_err(|_| Error::InvalidPageToken)
    }

    fn mac(&self, scope: &str, payload: &[u8]) -> [u8; SEAL] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(scope.len() as u64).to_be_bytes());
        hasher.update(scope.as_bytes());
        hasher.update(payload);
        let mut seal = [0; SEAL];
        hasher.finalize_xof().fill(&mut seal);
        seal
    }
}

fn padded(seal: &[u8; SEAL]) -> blake3::Hash {
    let mut bytes = [0; 32];
    bytes[..SEAL].copy_from_slice(seal);
    blake3::Hash::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(tokens: &PageTokens, scope: &str, token: &str) -> Result<String, ()> {
        tokens.open(scope, token).map_err(|_| ())
    }

    #[test]
    fn a_token_opens_only_its_own_list() {
        let tokens = PageTokens::new([1; 32]);
        let token = tokens.seal("a", &"key").unwrap();
        assert_eq!(open(&tokens, "a", &token), Ok("key".to_owned()));
        assert_eq!(open(&tokens, "b", &token), Err(()));
        assert_eq!(open(&PageTokens::new([2; 32]), "a", &token), Err(()));
    }

    #[test]
    fn every_altered_token_is_refused() {
        let tokens = PageTokens::new([1; 32]);
        let token = tokens.seal("a", &"key").unwrap();
        for at in 0..token.len() {
            for other in ["A", "B", "_", "=", "é"] {
                let altered = format!("{}{other}{}", &token[..at], &token[at + 1..]);
                if altered != token {
                    assert_eq!(open(&tokens, "a", &altered), Err(()), "{altered}");
                }
            }
        }
        for text in ["", "AAAA", &token[..token.len() - 1], &"A".repeat(2000)] {
            assert_eq!(open(&tokens, "a", text), Err(()), "{text}");
        }
    }
}
