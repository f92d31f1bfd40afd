//! A fleet with something for every selector, and what a list of it must show.

use std::sync::Arc;

use cloudm_application::ports::{ClusterWrite, MachinePage, MachineQuery, MachineStore, PlacedMachine, SortKey};
use cloudm_domain::{Cluster, Command, Machine, Order, Selector, SelectorField};

use crate::Scene;
use crate::builders::{START, after, asked, cluster_in, draft_at, terminated};

/// A fleet of sixty machines in four clusters, one cluster without machines, and one that was deleted.
pub(crate) struct Fleet {
    /// Every machine whose cluster exists.
    pub(crate) placed: Vec<PlacedMachine>,
    /// The clusters that exist.
    pub(crate) clusters: Vec<Arc<Cluster>>,
}

const TYPES: [&str; 3] = ["small", "medium", "large"];
const NAMES: [&str; 4] = ["web", "Web", "db.eu", "web-x"];

impl Fleet {
    pub(crate) async fn make(scene: &Scene<'_>) -> Self {
        let places = [("front", "A"), ("back", "A"), ("cache", "B"), ("batch", "C"), ("empty", "D")];
        let clusters: Vec<_> = places.map(|(name, region)| Arc::new(cluster_in(name, region))).into();
        for cluster in &clusters {
            scene.make(cluster.as_ref().clone()).await;
        }
        let mut placed = Vec::new();
        for number in 0..60 {
            // Shifted by the round, so that each state meets each type and each cluster.
            let cluster = clusters[(number + number / 4) % 4].clone();
            let machine = Self::machine(scene, &cluster, number).await;
            placed.push(PlacedMachine { machine, cluster });
        }
        Self::leave_ghosts(scene).await;
        Self { placed, clusters }
    }

    async fn machine(scene: &Scene<'_>, cluster: &Cluster, number: usize) -> Machine {
        // Names come again in other clusters, and several are made at one instant, which is not that of their turn.
        let name = format!("{}-{}", NAMES[number % 4], number / 5);
        let at = after((number * 37 % 12) as u64 * 400);
        let tags = [&[][..], &["team:a"], &["team:a", "env:test"], &["env:test", "x"], &["team:b"]][number % 5];
        let draft = draft_at(cluster, &name, at).machine_type(TYPES[number % 3]).tags(tags);
        if number % 7 == 3 {
            return scene.create(draft.made(&scene.slow)).await;
        }
        let machine = scene.create(draft.made(&scene.rules)).await;
        let now = machine.updated_at;
        match number % 7 {
            1 => scene.update(&machine, asked(&machine, Command::Stop, now, &scene.rules)).await,
            2 => scene.update(&machine, asked(&machine, Command::Suspend, now, &scene.rules)).await,
            4 => scene.update(&machine, asked(&machine, Command::Stop, now, &scene.slow)).await,
            5 => scene.update(&machine, terminated(&machine, &scene.rules)).await,
            _ => machine,
        }
    }

    /// TERMINATED machines of a cluster that exists no more.
    async fn leave_ghosts(scene: &Scene<'_>) {
        let gone = cluster_in("gone", "B");
        scene.make(gone.clone()).await;
        for name in ["web-0", "web-1", "ghost"] {
            let draft = draft_at(&gone, name, after(800)).tags(&["team:a", "x"]);
            let machine = scene.create(draft.made(&scene.rules)).await;
            scene.terminate(machine).await;
        }
        scene.write(ClusterWrite::Delete { id: gone.id, expected: 1, at: START }).await.unwrap();
    }

    /// What a whole list must show.
    pub(crate) fn listed(&self, selector: &Selector, order: Order) -> Vec<PlacedMachine> {
        let fits = |one: &&PlacedMachine| selector.matches(&one.machine, &one.cluster);
        let mut listed: Vec<_> = self.placed.iter().filter(fits).cloned().collect();
        listed.sort_by_key(|one| SortKey::of(&one.machine, order.key));
        if order.descending {
            listed.reverse();
        }
        listed
    }
}

/// A selector of these fields.
pub(crate) fn selector(fields: &[(SelectorField, &str)]) -> Selector {
    let mut selector = Selector::default();
    for (field, text) in fields {
        selector.add(*field, text).unwrap();
    }
    selector
}

/// One of each field, of several values, and combinations; some of them fit nothing.
pub(crate) fn selectors() -> Vec<Selector> {
    use SelectorField::{Cluster, MachineType, Name, Region, State, Tag};
    let id = cluster_in("cache", "B").id.to_string();
    let both = format!("cache,{id}");
    let fields: &[&[(SelectorField, &str)]] = &[
        &[],
        &[(Cluster, "front")],
        &[(Cluster, &id)],
        &[(Cluster, "front,batch,nowhere")],
        &[(Cluster, &both)],
        &[(Region, "A")],
        &[(Region, "A,B,D,Z")],
        &[(State, "RUNNING")],
        &[(State, "TERMINATED")],
        &[(State, "RUNNING,TERMINATED,STOPPING")],
        &[(State, "STOPPED,SUSPENDED,PROVISIONING")],
        &[(MachineType, "medium")],
        &[(MachineType, "small,large,none")],
        &[(Tag, "team:a")],
        &[(Tag, "team:a"), (Tag, "env:test")],
        &[(Tag, "Team:a")],
        &[(Name, "web-3")],
        &[(Name, "web-5")],
        &[(Name, "web*")],
        &[(Name, "web-1*")],
        &[(Name, "W*")],
        &[(Name, "*")],
        &[(Name, "z*")],
        &[(Cluster, "front"), (State, "RUNNING,STOPPED")],
        &[(Cluster, "front"), (State, "TERMINATED")],
        &[(Cluster, "front,cache"), (State, "RUNNING,TERMINATED")],
        &[(Cluster, "front,cache"), (Region, "B")],
        &[(Cluster, "front"), (Region, "B")],
        &[(Region, "A"), (MachineType, "small"), (Name, "web*")],
        &[(Region, "B,C"), (Tag, "team:a")],
        &[(Tag, "team:a"), (State, "RUNNING,TERMINATED")],
        &[(Tag, "x"), (State, "TERMINATED")],
        &[(Name, "web-3"), (State, "TERMINATED,RUNNING")],
        &[(Name, "web-5"), (Cluster, "back")],
        &[(Name, "db*"), (State, "RUNNING")],
        &[(MachineType, "small"), (State, "RUNNING,TERMINATED")],
        &[(Cluster, "empty")],
        &[(Cluster, "nowhere"), (State, "TERMINATED")],
        &[(Cluster, "gone"), (State, "TERMINATED")],
    ];
    fields.iter().map(|fields| selector(fields)).collect()
}

/// All pages, each of at most `limit` machines: the same one by one as in a walk.
pub(crate) async fn walk(scene: &Scene<'_>, selector: &Selector, order: Order, limit: usize) -> Vec<MachinePage> {
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let query = MachineQuery { selector: selector.clone(), order, after, made_by: None, limit };
        let page = scene.ports.machines.list(&query).await.unwrap();
        assert!(pages.len() < 20_000, "the walk does not end");
        after = page.next.clone();
        pages.push(page);
        if after.is_none() {
            break;
        }
    }
    let query = MachineQuery { selector: selector.clone(), order, after: None, made_by: None, limit };
    let machines = |pages: &[MachinePage]| pages.iter().flat_map(|page| page.machines.clone()).collect::<Vec<_>>();
    assert_eq!(machines(&through(&*scene.ports.machines, query).await), machines(&pages), "{selector:?} by {order}");
    pages
}

/// All pages of a store's walk.
pub(crate) async fn through(machines: &dyn MachineStore, query: MachineQuery) -> Vec<MachinePage> {
    let limit = query.limit;
    let (mut walk, mut pages) = (machines.walk(query), Vec::new());
    loop {
        let page = walk.next().await.unwrap();
        assert!(page.machines.len() <= limit && pages.len() < 20_000, "a page is short, and the walk ends");
        let ends = page.next.is_none();
        pages.push(page);
        if ends {
            return pages;
        }
    }
}

/// The machines of a walk.
pub(crate) async fn walked(scene: &Scene<'_>, selector: &Selector, order: Order, limit: usize) -> Vec<PlacedMachine> {
    walk(scene, selector, order, limit).await.into_iter().flat_map(|page| page.machines).collect()
}
