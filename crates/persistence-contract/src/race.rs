//! Many at once.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Barrier;

/// Runs so many tasks that begin together; gives what each came to, in their order.
pub async fn race<T, F>(tasks: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(tasks));
    let running: Vec<_> = (0..tasks)
        .map(|number| {
            let (start, task) = (start.clone(), task(number));
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(tasks);
    for one in running {
        results.push(one.await.unwrap());
    }
    results
}

/// How many were answered well.
pub fn winners<T, E>(results: &[Result<T, E>]) -> usize {
    results.iter().filter(|result| result.is_ok()).count()
}

/// Asserts that an answer is an error of this kind.
#[macro_export]
#[doc(hidden)]
macro_rules! assert_refused {
    ($result:expr, $kind:pat) => {
        match $result {
            Err($kind) => {}
            other => panic!("{} is answered with {other:?}", stringify!($result)),
        }
    };
}
