//! Answers that are kept under keys.

use cloudm_application::ports::{Commit, CommitError, KeptAnswer};

use crate::builders::{FOREVER, answer, create, draft};
use crate::race::{race, winners};
use crate::{Fixture, Scene, assert_refused};

pub async fn an_answer_is_kept(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let answers = &scene.ports.answers;
    let long = KeptAnswer { answer: (0..=255).cycle().take(70_000).collect(), ..answer("long / key é", 10) };
    let empty = KeptAnswer { answer: Vec::new(), fingerprint: [0xff; 32], ..answer("empty", FOREVER) };
    for one in [long, empty] {
        assert!(answers.keep(one.clone(), 0).await.unwrap());
        let kept = answers.get(&one.key, 0).await.unwrap().unwrap();
        assert_eq!((&kept.key, kept.fingerprint, &kept.answer), (&one.key, one.fingerprint, &one.answer));
    }
}

pub async fn an_absent_answer_is_none(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    assert!(scene.ports.answers.keep(answer("key", 10), 0).await.unwrap());
    for key in ["", "Key", "key "] {
        assert_eq!(scene.ports.answers.get(key, 0).await.unwrap(), None, "{key:?}");
    }
}

pub async fn an_answer_is_gone_once_it_has_expired(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let answers = &scene.ports.answers;
    assert!(answers.keep(answer("key", 1_000), 0).await.unwrap());
    assert_eq!(answers.get("key", 999).await.unwrap(), Some(answer("key", 1_000)));
    assert_eq!(answers.get("key", 1_000).await.unwrap(), None);
}

pub async fn a_key_is_taken_until_its_answer_has_expired(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let answers = &scene.ports.answers;
    assert!(answers.keep(answer("key", 1_000), 0).await.unwrap());
    let other = KeptAnswer { answer: b"other".to_vec(), fingerprint: [4; 32], ..answer("key", 5_000) };
    assert!(!answers.keep(other.clone(), 999).await.unwrap());
    assert_eq!(answers.get("key", 0).await.unwrap(), Some(answer("key", 1_000)));
    assert!(answers.keep(other.clone(), 1_000).await.unwrap());
    assert_eq!(answers.get("key", 1_000).await.unwrap(), Some(other));
}

pub async fn of_callers_that_race_for_a_key_one_wins(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    for round in 0..5 {
        let key = format!("key-{round}");
        let kept = race(8, |number| {
            let answers = scene.ports.answers.clone();
            let mine = KeptAnswer { answer: vec![number as u8], ..answer(&key, 1_000) };
            async move { answers.keep(mine, 0).await.unwrap() }
        })
        .await;
        let won: Vec<_> = (0..8).filter(|number| kept[*number]).collect();
        assert_eq!(won.len(), 1, "{kept:?}");
        assert_eq!(scene.ports.answers.get(&key, 0).await.unwrap().unwrap().answer, [won[0] as u8]);
    }
}

pub async fn of_commits_that_race_for_a_key_one_has_effect(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let results = race(8, |number| {
        let machines = scene.ports.machines.clone();
        let made = create(draft(&web, &format!("m-{number}")).made(&scene.rules));
        let mine = KeptAnswer { answer: vec![number as u8], ..answer("key", FOREVER) };
        async move { machines.commit(Commit { keep: Some(mine), ..made }).await }
    })
    .await;
    assert_eq!(winners(&results), 1, "{results:?}");
    let winner = results.iter().position(Result::is_ok).unwrap();
    for (number, result) in results.into_iter().enumerate() {
        let made = scene.holder(&web, &format!("m-{number}")).await;
        assert_eq!(made.is_some(), number == winner);
        if number != winner {
            assert_refused!(result, CommitError::KeyTaken);
        }
    }
    assert_eq!(scene.ports.answers.get("key", 0).await.unwrap().unwrap().answer, [winner as u8]);
}

pub async fn a_commit_may_use_a_key_that_has_expired(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let commit = |name: &str, expires_at| {
        let made = create(draft(&web, name).made(&scene.rules));
        Commit { keep: Some(answer("key", expires_at)), ..made }
    };
    scene.commit(commit("a", Scene::WALL + 1_000)).await.unwrap();
    scene.wall.set(Scene::WALL + 999);
    assert_refused!(scene.commit(commit("b", Scene::WALL + 9_000)).await, CommitError::KeyTaken);
    scene.wall.set(Scene::WALL + 1_000);
    scene.commit(commit("b", Scene::WALL + 9_000)).await.unwrap();
    let kept = scene.ports.answers.get("key", Scene::WALL).await.unwrap();
    assert_eq!(kept, Some(answer("key", Scene::WALL + 9_000)));
}

pub async fn only_what_has_expired_is_dropped(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let answers = &scene.ports.answers;
    for expires_at in [100, 200, 201, 300] {
        assert!(answers.keep(answer(&format!("until-{expires_at}"), expires_at), 0).await.unwrap());
    }
    assert_eq!(answers.purge(200, 10).await.unwrap(), 2);
    // Asked as of the beginning, so that only what was dropped is missing.
    for (key, kept) in [("until-100", false), ("until-200", false), ("until-201", true), ("until-300", true)] {
        assert_eq!(answers.get(key, 0).await.unwrap().is_some(), kept, "{key}");
    }
    assert_eq!(answers.purge(200, 10).await.unwrap(), 0);
}

pub async fn no_more_than_the_limit_is_dropped(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let answers = &scene.ports.answers;
    for number in 0..7 {
        assert!(answers.keep(answer(&format!("key-{number}"), 100), 0).await.unwrap());
    }
    let mut dropped = Vec::new();
    for _ in 0..4 {
        dropped.push(answers.purge(100, 3).await.unwrap());
    }
    assert_eq!(dropped, [3, 3, 1, 0]);
}
