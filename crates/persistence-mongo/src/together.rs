//! Questions that many ask at the same time, and one command answers.
//!
//! Who asks while a command is under way waits for the next one, which all that wait share. So each is answered by a command
//! that began after it asked, as if it had sent one of its own; and a crowd costs the database no more than two would.

use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Those who ask for `T` with a `Q`.
pub(crate) struct Together<Q, T>(Mutex<Asking<Q, T>>);

struct Asking<Q, T> {
    /// Whether a command is under way, after which somebody looks who waits.
    busy: bool,
    waiting: Vec<(Q, oneshot::Sender<T>)>,
}

impl<Q: Send + 'static, T: Send + 'static> Together<Q, T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Asking { busy: false, waiting: Vec::new() })))
    }

    /// Asks; `answer` gets the questions of all who wait, and gives the answers in their order. Nothing where it did not come
    /// to its end.
    pub(crate) async fn ask<A, F>(self: &Arc<Self>, question: Q, answer: A) -> Option<T>
    where
        A: FnMut(Vec<Q>) -> F + Send + 'static,
        F: Future<Output = Vec<T>> + Send + 'static,
    {
        let (give, take) = oneshot::channel();
        let was_busy = {
            let mut asking = self.0.lock();
            asking.waiting.push((question, give));
            std::mem::replace(&mut asking.busy, true)
        };
        if !was_busy {
            // Beside whoever asks, for he may leave.
            let answering = Answering { together: self.clone(), ended: false };
            tokio::spawn(answering.run(answer));
        }
        take.await.ok()
    }
}

/// Whoever sends commands while somebody waits. Where that breaks off, nobody waits for ever.
struct Answering<Q, T> {
    together: Arc<Together<Q, T>>,
    /// Whether nobody waited any more. Who asks from then on has somebody else who answers.
    ended: bool,
}

impl<Q, T> Answering<Q, T> {
    async fn run<A, F>(mut self, mut answer: A)
    where
        A: FnMut(Vec<Q>) -> F,
        F: Future<Output = Vec<T>>,
    {
        while let Some(waiting) = self.waiting() {
            let (questions, gives): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            for (give, answer) in gives.into_iter().zip(answer(questions).await) {
                // Who left needs none.
                let _ = give.send(answer);
            }
        }
    }

    /// Those who wait; nothing where there are none, and then this is its end.
    fn waiting(&mut self) -> Option<Vec<(Q, oneshot::Sender<T>)>> {
        let mut asking = self.together.0.lock();
        self.ended = asking.waiting.is_empty();
        asking.busy = !self.ended;
        asking.busy.then(|| std::mem::take(&mut asking.waiting))
    }
}

impl<Q, T> Drop for Answering<Q, T> {
    fn drop(&mut self) {
        if !self.ended {
            let mut asking = self.together.0.lock();
            asking.busy = false;
            asking.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    #[tokio::test]
    async fn those_who_ask_at_the_same_time_share_a_command_that_began_later() {
        let together = Together::new();
        let (begun, commands) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let ask = |number: u32| {
            let (together, begun, commands) = (together.clone(), begun.clone(), commands.clone());
            async move {
                let answer = move |numbers: Vec<u32>| {
                    commands.lock().push(numbers.len());
                    let begun = begun.clone();
                    async move {
                        begun.acquire().await.unwrap().forget();
                        numbers.into_iter().map(|number| number * 2).collect()
                    }
                };
                together.ask(number, answer).await
            }
        };
        let first = tokio::spawn(ask(1));
        while commands.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        let others = join_all((2..10).map(ask));
        let let_go = async {
            tokio::task::yield_now().await;
            begun.add_permits(2);
        };
        let (others, ()) = tokio::join!(others, let_go);
        assert_eq!(others, (2..10).map(|number| Some(number * 2)).collect::<Vec<_>>());
        assert_eq!((first.await.unwrap(), commands.lock().clone()), (Some(2), vec![1, 8]));
    }

    #[test]
    fn who_asks_while_another_command_leaves_is_not_forgotten() {
        let together: Arc<Together<(), ()>> = Together::new();
        let mut leaving = Answering { together: together.clone(), ended: false };
        assert!(leaving.waiting().is_none());
        let (give, _take) = oneshot::channel();
        *together.0.lock() = Asking { busy: true, waiting: vec![((), give)] };
        drop(leaving);
        let asking = together.0.lock();
        assert_eq!((asking.busy, asking.waiting.len()), (true, 1));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_command_that_broke_off() {
        let together: Arc<Together<(), ()>> = Together::new();
        let broken = |_: Vec<()>| async { panic!("a command that breaks off") };
        assert_eq!(together.ask((), broken).await, None);
        while together.0.lock().busy {
            tokio::task::yield_now().await;
        }
        assert_eq!(together.ask((), |asked: Vec<()>| async move { asked }).await, Some(()));
    }
}
