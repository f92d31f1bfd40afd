//! The least number whose id was never used.

use crate::ports::StoreError;

/// The least `k` for which `used` is false, given that it is true for all lesser ones and for 0.
///
/// It asks a number of times that grows with the logarithm of `k`.
pub(crate) async fn least_unused<F>(used: impl Fn(u32) -> F) -> Result<u32, StoreError>
where
    F: Future<Output = Result<bool, StoreError>>,
{
    let (mut last_used, mut unused) = (0_u32, 1_u32);
    while used(unused).await? {
        last_used = unused;
        unused = unused.saturating_mul(2);
    }
    while unused - last_used > 1 {
        let middle = last_used + (unused - last_used) / 2;
        if used(middle).await? {
            last_used = middle;
        } else {
            unused = middle;
        }
    }
    Ok(unused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn it_finds_the_least_and_asks_little() {
        for used in [1, 2, 3, 7, 100, 65_536, 1_000_001] {
            let asked = Cell::new(0);
            let found = least_unused(|k| {
                asked.set(asked.get() + 1);
                std::future::ready(Ok(k < used))
            });
            assert_eq!(found.await.unwrap(), used);
            assert!(asked.get() <= 42, "{used}: {}", asked.get());
        }
    }
}
