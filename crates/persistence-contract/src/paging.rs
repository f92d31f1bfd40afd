//! Walking through a list while the fleet changes.

use std::sync::Arc;

use cloudm_application::ports::{MachineQuery, MachineStore, MachineWalk, PageByPage, SortKey};
use cloudm_domain::{Command, Machine, MachineId, MachineState, Order, OrderKey, Rules, Selector, SelectorField};

use crate::builders::{after, asked, cluster_in, create, draft, draft_at, named, orders, query, update};
use crate::fleet::{Fleet, selector, walk, walked};
use crate::race::{race, winners};
use crate::{Fixture, Scene};

fn by_name(descending: bool) -> Order {
    Order { key: OrderKey::Name, descending }
}

pub async fn ids_order_what_was_created_at_one_instant(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (web, db) = (scene.cluster("web").await, scene.cluster("db").await);
    for (number, cluster) in [(5, &web), (1, &db), (9, &web), (3, &db)] {
        let id = MachineId::from_bytes([number; 12]);
        scene.create(draft(cluster, "a").id(id).made(&scene.rules)).await;
        // The name is free for the next one in the same cluster.
        let made = scene.ports.machines.get(id).await.unwrap().unwrap().machine;
        scene.update(&made, named(&made, &format!("a-{}", number % 2), &scene.rules)).await;
        let made = scene.ports.machines.get(id).await.unwrap().unwrap().machine;
        if number == 5 || number == 1 {
            scene.update(&made, named(&made, &format!("b-{number}"), &scene.rules)).await;
        }
    }
    for order in orders().into_iter().filter(|order| order.key == OrderKey::CreatedAt) {
        let listed = walked(&scene, &Selector::default(), order, 1).await;
        let mut ids: Vec<_> = listed.iter().map(|one| one.machine.id.as_bytes()[0]).collect();
        if order.descending {
            ids.reverse();
        }
        assert_eq!(ids, [1, 3, 5, 9]);
    }
    // Two of one name, in two clusters.
    let same = selector(&[(SelectorField::Name, "a-1")]);
    for (descending, expected) in [(false, [3, 9]), (true, [9, 3])] {
        let listed = walked(&scene, &same, by_name(descending), 1).await;
        assert_eq!(listed.iter().map(|one| one.machine.id.as_bytes()[0]).collect::<Vec<_>>(), expected);
    }
}

pub async fn names_are_ordered_by_their_bytes(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    let longest = "z".repeat(63);
    let mut names = ["a", "B", "b-1", "b.1", "b_1", "b1", "a-10", "a-9", "Z", "0", longest.as_str()];
    for name in names {
        scene.machine(&web, name).await;
    }
    names.sort_unstable();
    for limit in [1, 100] {
        let listed = walked(&scene, &Selector::default(), by_name(false), limit).await;
        assert!(listed.iter().map(|one| one.machine.name.as_str()).eq(names));
        let listed = walked(&scene, &Selector::default(), by_name(true), limit).await;
        assert!(listed.iter().map(|one| one.machine.name.as_str()).eq(names.into_iter().rev()));
    }
}

pub async fn a_page_is_no_longer_than_its_limit(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    Fleet::make(&scene).await;
    for limit in [1, 7, 25] {
        for order in orders() {
            for page in walk(&scene, &Selector::default(), order, limit).await {
                assert!(page.machines.len() <= limit);
            }
        }
    }
}

pub async fn there_is_no_page_after_the_last(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let all = Selector::default();
    let page = scene.ports.machines.list(&query(&all, None, 10)).await.unwrap();
    assert!(page.machines.is_empty() && page.next.is_none());
    let web = scene.cluster("web").await;
    for number in 0..6 {
        scene.create(draft_at(&web, &format!("m-{number}"), after(number)).made(&scene.rules)).await;
    }
    // A page that holds exactly what is left says so.
    for order in orders() {
        for (limit, pages) in [(3, 2), (6, 1), (7, 1), (4, 2)] {
            assert_eq!(walk(&scene, &all, order, limit).await.len(), pages, "{limit} by {order}");
        }
    }
}

/// Changes that meet a walk half way: after the key of `seen` and before it.
async fn disturb(scene: &Scene<'_>, fleet: &mut Fleet, round: usize) {
    let (front, back) = (fleet.clusters[0].clone(), fleet.clusters[1].clone());
    for (cluster, name) in [(&front, format!("A-new-{round}")), (&back, format!("zz-new-{round}"))] {
        scene.create(draft_at(cluster, &name, after((round as u64 * 7_919) % 5_000)).made(&scene.rules)).await;
    }
    // These do not last, or do not keep their key.
    let victim = fleet.placed.swap_remove(round * 31 % fleet.placed.len());
    if victim.machine.holds_name() {
        let after = match round % 2 {
            0 => crate::builders::terminated(&victim.machine, &scene.rules),
            _ => named(&victim.machine, &format!("moved-{round}"), &scene.rules),
        };
        scene.update(&victim.machine, after).await;
    } else {
        scene.remove(&victim.machine).await;
    }
    // This one lasts: it changes in everything but its key.
    let one = &mut fleet.placed[round];
    if let Ok(after) = one.machine.clone().request(&Command::Stop.into(), one.machine.updated_at, &scene.rules)
        && after.changed
    {
        one.machine = scene.update(&one.machine.clone(), after).await;
    }
}

pub async fn a_list_meets_each_lasting_machine_once(fixture: &dyn Fixture) {
    meets_each_once(fixture, |machines, query| Box::new(PageByPage::new(machines, query))).await;
}

pub async fn a_walk_meets_each_lasting_machine_once(fixture: &dyn Fixture) {
    meets_each_once(fixture, |machines, query| machines.walk(query)).await;
}

async fn meets_each_once(
    fixture: &dyn Fixture,
    walk: impl Fn(Arc<dyn MachineStore>, MachineQuery) -> Box<dyn MachineWalk>,
) {
    let scene = Scene::open(fixture).await;
    let mut fleet = Fleet::make(&scene).await;
    let (all, mut round) = (Selector::default(), 0);
    for order in orders() {
        let mut met = Vec::new();
        let query = MachineQuery { selector: all.clone(), order, after: None, made_by: None, limit: 7 };
        let mut walk = walk(scene.ports.machines.clone(), query);
        loop {
            let page = walk.next().await.unwrap();
            met.extend(page.machines.iter().map(|one| SortKey::of(&one.machine, order.key)));
            if page.next.is_none() {
                break;
            }
            if round < 20 {
                disturb(&scene, &mut fleet, round).await;
                round += 1;
            }
        }
        let mut in_order = met.clone();
        in_order.sort();
        in_order.dedup();
        assert_eq!(in_order.len(), met.len(), "none twice, by {order}");
        if order.descending {
            in_order.reverse();
        }
        assert_eq!(in_order, met, "in order, by {order}");
        for one in fleet.listed(&all, order) {
            assert!(met.contains(&SortKey::of(&one.machine, order.key)), "{:?} by {order}", one.machine.name);
        }
    }
}

pub async fn a_walk_goes_on_after_a_machine_that_is_gone(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let web = scene.cluster("web").await;
    for number in 0..6 {
        scene.create(draft_at(&web, &format!("m-{number}"), after(number)).made(&scene.rules)).await;
    }
    let page = scene.ports.machines.list(&query(&Selector::default(), None, 3)).await.unwrap();
    for one in &page.machines {
        scene.commit(crate::builders::remove(&one.machine, Vec::new())).await.unwrap();
    }
    let rest = scene.ports.machines.list(&query(&Selector::default(), page.next, 3)).await.unwrap();
    let names: Vec<_> = rest.machines.iter().map(|one| one.machine.name.to_string()).collect();
    assert_eq!((names.as_slice(), rest.next), (&["m-3", "m-4", "m-5"].map(String::from)[..], None));
}

pub async fn a_page_shows_one_moment(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    let (front, back) = (scene.cluster("front").await, scene.make_in("back", "B").await);
    // Of the first and the last machine of a list, one is stopped before the other is started: at no moment both run.
    let first = scene.machine(&front, "a").await;
    for number in 0..150 {
        scene.create(draft_at(&front, &format!("m-{number}"), after(1_000 + number)).made(&scene.slow)).await;
    }
    let last = scene.create(draft_at(&back, "z", after(5_000)).made(&scene.rules)).await;
    let last = scene.update(&last, asked(&last, Command::Stop, last.updated_at, &scene.rules)).await;
    let writer = tokio::spawn(take_turns(scene.ports.machines.clone(), scene.rules.clone(), first, last));
    let fields = [(SelectorField::Region, "A,B"), (SelectorField::MachineType, "small"), (SelectorField::Name, "*")];
    let mut lists: Vec<_> = fields.iter().map(|field| selector(&[*field])).collect();
    lists.push(selector(&[(SelectorField::State, "RUNNING,PROVISIONING")]));
    while !writer.is_finished() {
        for list in &lists {
            for order in orders() {
                let query = MachineQuery { order, ..query(list, None, 1_000) };
                let page = scene.ports.machines.list(&query).await.unwrap();
                let running = page.machines.iter().filter(|one| one.machine.state == MachineState::Running).count();
                assert!(running <= 1, "{list:?} by {order}: {running} run");
            }
        }
    }
    writer.await.unwrap();
}

/// Lets two machines run in turns.
async fn take_turns(machines: Arc<dyn MachineStore>, rules: Rules, mut running: Machine, mut stopped: Machine) {
    for _ in 0..100 {
        for (machine, command) in [(&mut running, Command::Stop), (&mut stopped, Command::Start)] {
            let after = asked(machine, command, machine.updated_at, &rules);
            let now = after.machine.clone();
            machines.commit(update(machine, after)).await.unwrap();
            *machine = now;
        }
        std::mem::swap(&mut running, &mut stopped);
    }
}

pub async fn a_walk_that_examines_many_is_complete(fixture: &dyn Fixture) {
    let scene = Scene::open(fixture).await;
    scene.make(cluster_in("web", "A")).await;
    let web = cluster_in("web", "A");
    let total = MachineQuery::MAX_EXAMINED + 20;
    for batch in 0..total.div_ceil(1_000) {
        let results = race(1_000.min(total - batch * 1_000), |number| {
            let number = batch * 1_000 + number;
            // What fits stands at both ends of the order of creation.
            let name = if number < 3 || number >= total - 3 { "wanted" } else { "other" };
            let draft = draft_at(&web, &format!("{name}-{number}"), after(number as u64));
            let (machines, made) = (scene.ports.machines.clone(), create(draft.made(&scene.rules)));
            async move { machines.commit(made).await }
        })
        .await;
        assert_eq!(winners(&results), results.len());
    }
    let wanted = selector(&[(SelectorField::Name, "wanted*")]);
    for order in orders() {
        let listed = walked(&scene, &wanted, order, 4).await;
        let mut names: Vec<_> = listed.iter().map(|one| one.machine.name.to_string()).collect();
        assert_eq!(names.len(), 6, "{names:?} by {order}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 6, "{names:?} by {order}");
    }
    // And of all, none is missed.
    assert_eq!(walked(&scene, &Selector::default(), Order::default(), 1_000).await.len(), total);
}
