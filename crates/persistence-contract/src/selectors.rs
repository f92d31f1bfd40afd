//! Which machines a list shows, and in what order: each list is held against a model.

use cloudm_application::ports::ClusterWrite;
use cloudm_domain::{ClusterEdit, Command, Edit, MachineState, Selector, SelectorField, Tags};

use crate::builders::{self, START, asked, cluster_in, draft, edited, named, orders};
use crate::fleet::{Fleet, selector, selectors, walked};
use crate::{Fixture, Scene};

async fn check(scene: &Scene<'_>, fleet: &Fleet, limit: usize) {
    for selector in selectors() {
        for order in orders() {
            let listed = walked(scene, &selector, order, limit).await;
            assert_eq!(listed, fleet.listed(&selector, order), "{selector:?} by {order}");
        }
    }
}

pub async fn every_selector_is_followed_in_every_order(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let fleet = Fleet::make(&scene).await;
    let found = selectors().iter().filter(|one| !fleet.listed(one, orders()[0]).is_empty()).count();
    assert!(found > 25, "most selectors fit something: {found}");
    check(&scene, &fleet, 1_000).await;
}

pub async fn every_selector_is_followed_page_by_page(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let fleet = Fleet::make(&scene).await;
    for limit in [1, 4] {
        check(&scene, &fleet, limit).await;
    }
}

pub async fn terminated_machines_are_left_out_unless_asked_for(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let (alive, ended) = (scene.machine(&web, "a").await, scene.machine(&web, "b").await);
    let ended = scene.terminate(ended).await;
    for (fields, expected) in [
        (&[][..], vec![alive.id]),
        (&[(SelectorField::Cluster, "web")], vec![alive.id]),
        (&[(SelectorField::Name, "b")], vec![]),
        (&[(SelectorField::State, "TERMINATED")], vec![ended.id]),
        (&[(SelectorField::State, "TERMINATED,RUNNING")], vec![alive.id, ended.id]),
    ] {
        for order in orders() {
            let mut ids: Vec<_> =
                walked(&scene, &selector(fields), order, 10).await.iter().map(|one| one.machine.id).collect();
            let mut expected = expected.clone();
            ids.sort_unstable();
            expected.sort_unstable();
            assert_eq!(ids, expected, "{fields:?}");
        }
    }
}

pub async fn machines_of_a_deleted_cluster_are_left_out(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let machine = scene.create(draft(&web, "a").tags(&["x"]).made(&scene.rules)).await;
    let machine = scene.terminate(machine).await;
    let terminated = selector(&[(SelectorField::State, "TERMINATED")]);
    assert_eq!(walked(&scene, &terminated, orders()[0], 10).await.len(), 1);
    scene.write(ClusterWrite::Delete { id: web.id, expected: 1, at: START }).await.unwrap();
    let by_cluster =
        selector(&[(SelectorField::State, "TERMINATED"), (SelectorField::Cluster, &machine.cluster_id.to_string())]);
    for order in orders() {
        assert!(walked(&scene, &terminated, order, 10).await.is_empty());
        assert!(walked(&scene, &by_cluster, order, 10).await.is_empty());
    }
}

pub async fn a_region_is_that_of_the_cluster_now(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    scene.machine(&web, "a").await;
    let count = |region: &'static str| {
        let by_region = selector(&[(SelectorField::Region, region)]);
        let scene = &scene;
        async move { walked(scene, &by_region, orders()[0], 10).await.len() }
    };
    assert_eq!((count("A").await, count("B").await), (1, 0));
    let edit = ClusterEdit { name: None, region_code: Some("B".parse().unwrap()) };
    let moved = web.edit(&edit, START).unwrap();
    scene.write(ClusterWrite::Update { expected: 1, cluster: moved, sizes: None }).await.unwrap();
    assert_eq!((count("A").await, count("B").await), (0, 1));
}

pub async fn lists_follow_what_is_written(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let mut fleet = Fleet::make(&scene).await;
    for (number, one) in fleet.placed.iter_mut().enumerate() {
        let machine = &one.machine;
        let now = machine.updated_at;
        if machine.state == MachineState::Terminated {
            continue;
        }
        let tags = Tags::new(vec!["team:a".parse().unwrap(), "new".parse().unwrap()]).unwrap();
        let after = match number % 5 {
            0 => edited(machine, &Edit { tags: Some(tags), ..Edit::default() }, &scene.rules),
            1 => named(machine, &format!("web-new-{number}"), &scene.rules),
            2 => builders::terminated(machine, &scene.rules),
            3 if machine.state == MachineState::Stopped => {
                asked(machine, Command::Resize("medium".parse().unwrap()), now, &scene.rules)
            }
            _ if machine.state == MachineState::Running => asked(machine, Command::Stop, now, &scene.rules),
            _ => edited(machine, &Edit { tags: Some(Tags::default()), ..Edit::default() }, &scene.rules),
        };
        if after.changed {
            one.machine = scene.update(machine, after).await;
        }
    }
    let removed = fleet.placed.split_off(50);
    for one in removed {
        scene.remove(&one.machine).await;
    }
    check(&scene, &fleet, 1_000).await;
    let tagged = selector(&[(SelectorField::Tag, "new")]);
    assert!(!fleet.listed(&tagged, orders()[0]).is_empty());
    assert_eq!(walked(&scene, &tagged, orders()[0], 10).await, fleet.listed(&tagged, orders()[0]));
}

pub async fn a_selector_that_fits_nothing_finds_nothing(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    assert!(walked(&scene, &Selector::default(), orders()[0], 10).await.is_empty());
    scene.make(cluster_in("web", "A")).await;
    for selector in selectors() {
        for order in orders() {
            assert!(walked(&scene, &selector, order, 10).await.is_empty(), "{selector:?}");
        }
    }
}
