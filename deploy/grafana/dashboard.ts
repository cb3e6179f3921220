/** A Grafana dashboard of onepull's metrics, as data: `generate.ts` writes it as the JSON that Grafana imports. */

type Unit = 'Bps' | 'bytes' | 'percentunit' | 'reqps' | 's' | 'short' | 'dtdurations';

interface Query {
  readonly expr: string;
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  /** What to read from it, and what to do. */
  readonly description: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** `stat`: one number, as of now. */
  readonly form?: 'stat' | 'lines' | 'stacked' | 'state';
  /** Of the 24 columns of a row. */
  readonly width?: number;
}

interface Section {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const nodes = 'job="$job",instance=~"$instance"';

/** The sum of a counter's rate over the chosen nodes. */
function rate(metric: string, { by, where = '' }: { by?: string; where?: string } = {}): string {
  const labels = where === '' ? nodes : `${nodes},${where}`;
  return `sum${by === undefined ? '' : ` by (${by})`} (rate(${metric}{${labels}}[$__rate_interval]))`;
}

function quantile(of: number, metric: string, { by, where = '' }: { by?: string; where?: string } = {}): string {
  const labels = by === undefined ? 'le' : `${by}, le`;
  return `histogram_quantile(${of}, ${rate(`${metric}_bucket`, { by: labels, where })})`;
}

function quantiles(metric: string, where = ''): Query[] {
  return [0.5, 0.9, 0.99].map((of) => ({ expr: quantile(of, metric, { where }), legend: `p${of * 100}` }));
}

const contentRoutes = 'route=~"manifest|blob"';

const sections: readonly Section[] = [
  {
    title: 'Effect',
    panels: [
      {
        title: 'Bytes that upstream did not send',
        description: 'The share of what clients got that did not come from upstream anew, over the time shown.',
        unit: 'percentunit',
        form: 'stat',
        width: 6,
        queries: [
          {
            expr: `1 - sum(increase(onepull_upstream_bytes_total{${nodes}}[$__range])) / sum(increase(onepull_served_bytes_total{${nodes}}[$__range]))`,
            legend: 'saved',
          },
        ],
      },
      {
        title: 'Requests that failed',
        description: 'The share of requests for content that were answered with 5xx.',
        unit: 'percentunit',
        form: 'stat',
        width: 6,
        queries: [
          {
            expr: `(${rate('onepull_requests_total', { where: `${contentRoutes},status=~"5.."` })} or vector(0)) / ${rate('onepull_requests_total', { where: contentRoutes })}`,
            legend: 'failed',
          },
        ],
      },
      {
        title: 'Pulls in progress',
        description: 'Blobs that come now, and the answers that follow them.',
        unit: 'short',
        form: 'stat',
        width: 6,
        queries: [
          { expr: `sum(onepull_flights{${nodes}})`, legend: 'pulls' },
          { expr: `sum(onepull_flight_waiters{${nodes}})`, legend: 'who wait' },
        ],
      },
      {
        title: 'Cache',
        description: 'How full the fullest cache is. It stays below 100 %: what was not used for longest leaves.',
        unit: 'percentunit',
        form: 'stat',
        width: 6,
        queries: [
          { expr: `max(onepull_cache_size_bytes{${nodes}} / onepull_cache_max_bytes{${nodes}})`, legend: 'full' },
        ],
      },
      {
        title: 'Served, and pulled from upstream',
        description: 'What clients got against what upstream sent. The distance between the lines is the effect.',
        unit: 'Bps',
        queries: [
          { expr: rate('onepull_served_bytes_total'), legend: 'served' },
          { expr: rate('onepull_upstream_bytes_total'), legend: 'from upstream' },
        ],
      },
      {
        title: 'How content was served',
        description:
          'hit: from the cache; joined: from a pull that another request began; led: began one; stale: upstream did not answer.',
        unit: 'reqps',
        form: 'stacked',
        queries: [
          { expr: rate('onepull_requests_total', { by: 'served', where: contentRoutes }), legend: '{{served}}' },
        ],
      },
    ],
  },
  {
    title: 'What clients notice',
    panels: [
      {
        title: 'First byte',
        description: 'From the arrival of a request for content to the first byte of its answer.',
        unit: 's',
        queries: quantiles('onepull_first_byte_seconds', contentRoutes),
      },
      {
        title: 'Pull of a blob from upstream',
        description: 'From its start to its commit.',
        unit: 's',
        queries: quantiles('onepull_pull_seconds'),
      },
      {
        title: 'How pulls ended',
        description: 'passed: streamed to its end, and not kept; parked: nobody wanted it any more, or a shutdown.',
        unit: 'reqps',
        form: 'stacked',
        queries: [{ expr: rate('onepull_flight_ends_total', { by: 'result' }), legend: '{{result}}' }],
      },
      {
        title: 'Errors',
        description: 'Requests that failed, by code: docs/ERRORS.md says what each means.',
        unit: 'reqps',
        form: 'stacked',
        queries: [{ expr: rate('onepull_request_errors_total', { by: 'code' }), legend: '{{code}}' }],
      },
      {
        title: 'Refused at a bound, or broken off',
        description:
          'Refused ones are told 503 and come again; broken ones are clients that left, or content that failed.',
        unit: 'reqps',
        queries: [
          { expr: rate('onepull_refused_total', { by: 'bound' }), legend: 'refused: {{bound}}' },
          { expr: rate('onepull_requests_incomplete_total', { by: 'route' }), legend: 'broken off: {{route}}' },
        ],
      },
    ],
  },
  {
    title: 'Upstreams',
    panels: [
      {
        title: 'Requests',
        description: 'By upstream and what came back; tokens included.',
        unit: 'reqps',
        form: 'stacked',
        queries: [
          {
            expr: rate('onepull_upstream_requests_total', { by: 'upstream, status' }),
            legend: '{{upstream}} {{status}}',
          },
        ],
      },
      {
        title: 'Answers of upstreams',
        description:
          'How long 9 of 10 answers took at most, to their headers; a request that failed is one that took as long as that.',
        unit: 's',
        queries: [
          {
            expr: quantile(0.9, 'onepull_upstream_response_seconds', { by: 'upstream, kind' }),
            legend: '{{upstream}} {{kind}}',
          },
        ],
      },
      {
        title: 'Further attempts',
        description: 'What the attempt before failed of.',
        unit: 'reqps',
        form: 'stacked',
        queries: [
          { expr: rate('onepull_upstream_retries_total', { by: 'upstream, cause' }), legend: '{{upstream}} {{cause}}' },
        ],
      },
      {
        title: 'Rate limit left',
        description: 'The share that the upstream last said is left.',
        unit: 'percentunit',
        queries: [
          {
            expr: `min by (upstream) (onepull_upstream_ratelimit_remaining{${nodes}} / (onepull_upstream_ratelimit_limit{${nodes}} > 0))`,
            legend: '{{upstream}}',
          },
        ],
      },
      {
        title: 'Rests that upstreams asked for',
        description: 'What is left of each. Known tags are served meanwhile.',
        unit: 's',
        queries: [
          {
            expr: `max by (upstream, endpoint, what) (onepull_upstream_paused_seconds{${nodes}}) > 0`,
            legend: '{{endpoint}} {{what}}',
          },
        ],
      },
      {
        title: 'Endpoints that fail',
        description:
          'For failing repeatedly. They are tried again every few seconds. The only one of an upstream never is: see Requests.',
        unit: 'short',
        form: 'state',
        width: 24,
        queries: [
          {
            expr: `max by (upstream, endpoint) (onepull_breaker_open{${nodes}})`,
            legend: '{{upstream}} {{endpoint}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Nodes that share an engine',
    panels: [
      {
        title: 'Nodes seen, and the engine',
        description: 'All nodes should see as many as you run. Where the engine is 0, that node pulls on its own.',
        unit: 'short',
        queries: [
          { expr: `onepull_cluster_nodes{${nodes}}`, legend: '{{instance}} sees' },
          { expr: `onepull_cluster_engine_up{${nodes}}`, legend: '{{instance}} engine' },
        ],
      },
      {
        title: 'Between nodes',
        description: 'Bytes of blobs that nodes sent each other.',
        unit: 'Bps',
        queries: [
          { expr: rate('onepull_peer_sent_bytes_total', { by: 'instance' }), legend: '{{instance}} sends' },
          { expr: rate('onepull_peer_received_bytes_total', { by: 'instance' }), legend: '{{instance}} receives' },
        ],
      },
      {
        title: 'Places of pulls among the nodes',
        description: 'alone, while the engine is up: the node that leads cannot be reached.',
        unit: 'reqps',
        form: 'stacked',
        queries: [{ expr: rate('onepull_cluster_shares_total', { by: 'place' }), legend: '{{place}}' }],
      },
      {
        title: 'Leading and following',
        description: 'Blobs that nodes bring for all, read from others, and send to others now.',
        unit: 'short',
        queries: [
          { expr: `sum by (instance) (onepull_cluster_leases{${nodes}})`, legend: '{{instance}} leads' },
          { expr: `sum by (instance) (onepull_cluster_followed{${nodes}})`, legend: '{{instance}} follows' },
          { expr: `sum by (instance) (onepull_peer_children{${nodes}})`, legend: '{{instance}} feeds' },
        ],
      },
    ],
  },
  {
    title: 'The machine',
    panels: [
      {
        title: 'Cache and disk',
        description: 'What the caches hold and may hold, and what is free on their disks.',
        unit: 'bytes',
        queries: [
          { expr: `onepull_cache_size_bytes{${nodes}}`, legend: '{{instance}} cache' },
          { expr: `onepull_cache_max_bytes{${nodes}}`, legend: '{{instance}} may hold' },
          { expr: `onepull_disk_free_bytes{${nodes}}`, legend: '{{instance}} disk free' },
        ],
      },
      {
        title: 'Leaves the cache, or never enters it',
        description: 'Evicted to make room, and streamed through memory as the disk cannot take it.',
        unit: 'Bps',
        queries: [
          { expr: rate('onepull_evicted_bytes_total'), legend: 'evicted' },
          { expr: rate('onepull_passed_bytes_total'), legend: 'passed through' },
        ],
      },
      {
        title: 'Warnings',
        description: 'How many warnings /readyz gives, which says them in words.',
        unit: 'short',
        queries: [{ expr: `onepull_warnings{${nodes}}`, legend: '{{instance}}' }],
      },
      {
        title: 'Threads',
        description: 'Which part of its time each is at work. Near 100 % it is the bound.',
        unit: 'percentunit',
        queries: [{ expr: `onepull_thread_busy_ratio{${nodes}}`, legend: '{{instance}} {{thread}}' }],
      },
      {
        title: 'Memory',
        description: 'Of the process, and what is held for clients and as hot blocks.',
        unit: 'bytes',
        queries: [
          { expr: `process_resident_memory_bytes{${nodes}}`, legend: '{{instance}} process' },
          { expr: `onepull_queued_bytes{${nodes}}`, legend: '{{instance}} for clients' },
          { expr: `onepull_memory_block_bytes{${nodes}}`, legend: '{{instance}} hot blocks' },
        ],
      },
    ],
  },
];

const columns = 24;
const heights = { row: 1, stat: 4, chart: 8 } as const;
const source = { type: 'prometheus', uid: '$datasource' } as const;

/** What Grafana (10 or later) imports: its dashboard model, schema version 39. */
export function grafanaDashboard(): object {
  const panels: object[] = [];
  let id = 1;
  let y = 0;
  for (const { title, panels: shown } of sections) {
    panels.push({ id: id++, type: 'row', title, collapsed: false, panels: [], gridPos: { x: 0, y, w: columns, h: 1 } });
    y += heights.row;
    let x = 0;
    let height = 0;
    for (const panel of shown) {
      const w = panel.width ?? columns / 2;
      const h = panel.form === 'stat' || panel.form === 'state' ? heights.stat : heights.chart;
      if (x + w > columns) {
        y += height;
        x = 0;
      }
      panels.push(panelModel(panel, id++, { x, y, w, h }));
      height = h;
      x += w;
    }
    y += height;
  }
  return {
    uid: 'onepull',
    title: 'onepull',
    description: 'What onepull pulls, what it saves, and what is wrong.',
    tags: ['onepull'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: { list: variables() },
    panels,
  };
}

function panelModel({ title, description, unit, queries, form = 'lines' }: Panel, id: number, gridPos: object): object {
  const type = { stat: 'stat', state: 'state-timeline', lines: 'timeseries', stacked: 'timeseries' }[form];
  const custom =
    form === 'stacked'
      ? { fillOpacity: 40, lineWidth: 1, stacking: { mode: 'normal' } }
      : { fillOpacity: 0, lineWidth: 2 };
  return {
    id,
    type,
    title,
    description,
    gridPos,
    datasource: source,
    fieldConfig: {
      defaults: {
        unit,
        ...(type === 'timeseries' ? { min: 0, custom } : {}),
        ...(form === 'state' ? { mappings } : {}),
      },
      overrides: [],
    },
    options: type === 'timeseries' ? { legend: { displayMode: 'list', placement: 'bottom' } } : {},
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      datasource: source,
      expr,
      legendFormat: legend,
      range: true,
    })),
  };
}

const mappings = [
  { type: 'value', options: { 0: { text: 'in use', color: 'green' }, 1: { text: 'fails', color: 'red' } } },
];

function variables(): object[] {
  return [
    { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
    variable('job', 'Job', 'label_values(onepull_build_info, job)', false),
    variable('instance', 'Node', 'label_values(onepull_build_info{job="$job"}, instance)', true),
  ];
}

function variable(name: string, label: string, query: string, isMany: boolean): object {
  const all = isMany
    ? { includeAll: true, multi: true, allValue: '.*', current: { text: 'All', value: '$__all' } }
    : {};
  return { name, label, type: 'query', datasource: source, query, refresh: 2, sort: 1, ...all };
}
