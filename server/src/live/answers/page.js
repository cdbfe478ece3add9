
'use strict'
const MAX_FINISHED = 2000
const MAX_POINTS = 240
const CAUSES = {
  stream_window: 'stream window',
  connection_window: 'connection window',
  max_streams: 'max-streams',
  transport: 'transport',
  reader: 'our reader'
}
const NAMES = { waiting: 'waiting for the response', moving: 'moving', ...CAUSES }
// Whether other programs' connections pass, or those of the program itself are shown.
const BETWEEN = document.body.dataset.standpoint === 'between'
const WORDS = BETWEEN
  ? { sent: 'from servers', received: 'from clients', us: ' by the server', peer: ' by the client' }
  : { sent: 'sent', received: 'received', us: ' by us', peer: ' from the peer' }
const SVG = 'http://www.w3.org/2000/svg'

let source, last = '', offset = 0, paused = false, scheduled = false
let totals, gauges = [], unlisted = 0, leftOut = 0
const connections = new Map()
const open = new Map()
const measured = new Map()
let finished = []
let rates = []

const at = (id) => document.getElementById(id)

// Text only: paths and addresses are other people's.
function make (name, props, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(props || {})) {
    key === 'class' ? (element.className = value) : (element[key] = value)
  }
  element.append(...children)
  return element
}

function draw (name, attributes, ...children) {
  const element = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

function bytes (count) {
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (count < 1000) return (count < 10 && unit !== 'B' ? count.toFixed(1) : Math.round(count)) + ' ' + unit
    count /= 1024
  }
  return count.toFixed(1) + ' TiB'
}

function time (ms) {
  if (ms < 1000) return Math.round(ms) + ' ms'
  if (ms < 60_000) return (ms / 1000).toFixed(ms < 10_000 ? 2 : 1) + ' s'
  return Math.floor(ms / 60_000) + ' min ' + Math.round(ms % 60_000 / 1000) + ' s'
}

// A time that was measured.
function precise (ms) {
  if (ms < 1) return Math.round(ms * 1000) + ' µs'
  return ms < 10 ? ms.toFixed(2) + ' ms' : time(ms)
}

const sum = (object) => Object.values(object).reduce((all, one) => all + one, 0)
const now = () => performance.now() - offset

function connect () {
  if (source || document.hidden || paused) return
  state('', 'connecting')
  source = new EventSource('/events' + (last && '?after=' + last))
  source.onopen = () => state('live', 'live')
  source.onerror = () => {
    state('lost', 'the program does not answer; trying again')
    // A refusal ends an EventSource for good.
    if (source && source.readyState === EventSource.CLOSED) {
      disconnect()
      setTimeout(connect, 3000)
    }
  }
  source.addEventListener('snapshot', (event) => {
    connections.clear()
    open.clear()
    measured.clear()
    finished = []
    take(event)
  })
  source.addEventListener('delta', take)
}

function disconnect () {
  if (source) source.close()
  source = undefined
}

function state (name, text) {
  at('state').className = name
  at('state').textContent = text
}

function take (event) {
  const news = JSON.parse(event.data)
  last = event.lastEventId
  offset = performance.now() - news.now
  for (const one of news.connections) {
    const known = connections.get(one.id)
    connections.set(one.id, { ...one, points: known ? known.points : [], most: Math.max(known ? known.most : 0, one.send_window || 0), most_of_peer: Math.max(known ? known.most_of_peer : 0, one.peer_window || 0) })
  }
  for (const id of news.gone) connections.delete(id)
  for (const one of connections.values()) {
    one.points.push([news.now, one.send_window, one.sent, one.received, one.peer_window])
    if (one.points.length > MAX_POINTS) one.points.shift()
  }
  for (const stream of news.streams) {
    const key = stream.connection + '/' + stream.id
    if (stream.end === null) {
      open.set(key, stream)
    } else {
      open.delete(key)
      finished.push(stream)
    }
  }
  for (const [key, stream] of open) if (!connections.has(stream.connection)) open.delete(key)
  if (finished.length > MAX_FINISHED) finished = finished.slice(-MAX_FINISHED)
  if (news.totals) totals = news.totals
  gauges = news.gauges
  for (const figure of news.figures) {
    const values = measured.get(figure.name)?.values || []
    values.push(figure.value)
    if (values.length > MAX_POINTS) values.shift()
    measured.set(figure.name, { ...figure, values })
  }
  unlisted = news.unlisted
  leftOut = news.left_out
  rates.push([news.now, sum(totals.requests), totals.sent, totals.received])
  rates = rates.filter(([when]) => when > news.now - 5000)
  schedule()
}

function schedule () {
  if (scheduled || paused || document.hidden) return
  scheduled = true
  requestAnimationFrame(() => {
    scheduled = false
    if (totals) render()
  })
}

// What grew in a second, of points whose first item is the time.
function rate (points, index, span) {
  const recent = points.filter(([when]) => when >= now() - span)
  if (recent.length < 2) return 0
  const [first, end] = [recent[0], recent[recent.length - 1]]
  return Math.max(0, (end[index] - first[index]) / Math.max(1, end[0] - first[0]) * 1000)
}

const causeOf = (stream) => stream.end === null ? stream.marks[stream.marks.length - 1][1] : ''

function render () {
  const stalled = [...open.values()].filter((stream) => causeOf(stream) in CAUSES)
  const blocked = [...connections.values()].filter((one) => one.stall)
  tiles(stalled, blocked)
  measures()
  streams()
  list()
  limits()
  protocols()
  figures('resets', [
    ...Object.entries(totals.resets_received).map(([code, count]) => [code + WORDS.peer, count]),
    ...Object.entries(totals.resets_sent).map(([code, count]) => [code + WORDS.us, count])
  ], 'none')
  figures('stalls', ['stream window', 'connection window', 'transport'].map((cause, index) => [cause, totals.stalls[index]]).filter(([, count]) => count), 'data never had to wait')
  talkers()
}

function tiles (stalled, blocked) {
  const tile = (value, name, bad) => make('div', { class: bad ? 'tile bad' : 'tile' }, make('b', {}, value), make('span', {}, name))
  const waits = stalled.length || blocked.length
  at('tiles').replaceChildren(
    tile(String(sum(totals.open)), 'connections'),
    tile(String([...connections.values()].reduce((all, one) => all + one.streams, 0)), 'open streams'),
    tile(rate(rates, 1, 5000).toFixed(0), 'requests / s'),
    tile(bytes(rate(rates, 2, 5000)) + '/s', WORDS.sent),
    tile(bytes(rate(rates, 3, 5000)) + '/s', WORDS.received),
    tile(String(waits), 'stalled', waits > 0),
    tile(String(sum(totals.resets_sent) + sum(totals.resets_received)), 'resets')
  )
}

function matches (stream, words) {
  const text = [stream.method, stream.path, stream.status, stream.reset, NAMES[causeOf(stream)], stream.protocol].join(' ').toLowerCase()
  return words.every((word) => text.includes(word))
}

function streams () {
  const span = Number(at('span').value) * 1000, rows = Number(at('rows').value)
  const words = at('filter').value.toLowerCase().split(/\s+/).filter(Boolean)
  const end = now(), begin = end - span
  let shown = [...open.values()].sort((a, b) => b.begin - a.begin)
  // Those that wait are what somebody looks for.
  shown = [...shown.filter((one) => causeOf(one) in CAUSES), ...shown.filter((one) => !(causeOf(one) in CAUSES))]
  for (let index = finished.length - 1; index >= 0; index--) if (finished[index].end > begin) shown.push(finished[index])
  shown = shown.filter((stream) => matches(stream, words) && (!at('waiting').checked || stream.marks.some(([, phase]) => phase in CAUSES)))
  const head = make('div', { class: 'row stream head' })
  for (const [name, kind] of [['stream', 'name'], ['status', ''], ['protocol', ''], ['content', 'number'], ['time', 'number'], ['the last ' + time(span), 'chart']]) head.append(make('span', { class: kind }, name))
  at('streams').replaceChildren(head, ...shown.slice(0, rows).map((stream) => row(stream, begin, end)))
  if (!shown.length) at('streams').append(make('p', { class: 'note' }, 'No stream in this time.'))
  const hidden = shown.length - rows
  at('more').textContent = [hidden > 0 && `${hidden} more in this time`, leftOut && `${leftOut} open streams are not listed`, totals.undrawn && `${totals.undrawn} were too many to draw`].filter(Boolean).join('; ')
}

function row (stream, begin, end) {
  const cause = causeOf(stream)
  const title = stream.path || stream.method ? `${stream.method} ${stream.path}` : `stream ${stream.id}` + (stream.is_earlier ? ', from before' : '')
  const status = stream.reset || stream.status || ''
  const spent = time((stream.end ?? end) - stream.begin)
  const note = cause in CAUSES ? 'stalled: ' + CAUSES[cause] : ''
  const name = make('span', { class: 'name', title: `${title} (connection ${stream.connection}, stream ${stream.id})` }, title)
  if (note) name.append(' ', make('span', { class: 'stall ' + cause }, CAUSES[cause]))
  return make('div', { class: 'row stream' }, name,
    make('span', { class: stream.reset || stream.status >= 400 ? 'failed' : '', title: String(status) }, String(status)),
    make('span', { class: 'faint' }, stream.protocol),
    make('span', { class: 'number' }, bytes(stream.sent + stream.received)),
    make('span', { class: 'number' }, spent),
    make('span', { class: 'chart' }, bar(stream, begin, end, `${title}: ${spent} ${note}`)))
}

function bar (stream, begin, end, label) {
  const scale = 1000 / (end - begin)
  const place = (when) => Math.max(0, (when - begin) * scale)
  const svg = draw('svg', { class: 'bar', viewBox: '0 0 1000 16', preserveAspectRatio: 'none', role: 'img', 'aria-label': label })
  const over = stream.end ?? end
  stream.marks.forEach(([since, phase], index) => {
    const until = Math.min(over, index + 1 < stream.marks.length ? stream.marks[index + 1][0] : over)
    if (until < begin) return
    const left = place(since), thin = phase === 'waiting'
    svg.append(draw('rect', { class: phase, x: left, width: Math.max(2.5, place(until) - left), y: thin ? 5 : 2, height: thin ? 6 : 12 },
      draw('title', {}, `${NAMES[phase]}: ${time(until - since)}`)))
  })
  return svg
}

function list () {
  const all = [...connections.values()].map((one) => ({ ...one, out: rate(one.points, 2, 5000), in: rate(one.points, 3, 5000) }))
  all.sort((a, b) => Boolean(b.stall) - Boolean(a.stall) || (b.out + b.in) - (a.out + a.in) || b.streams - a.streams || b.id - a.id)
  const head = make('div', { class: 'row connection head' })
  for (const [name, kind] of [[BETWEEN ? 'client' : 'peer', 'name'], ['protocol', ''], ['streams', 'number'], [WORDS.sent, 'number'], [WORDS.received, 'number'], [BETWEEN ? 'windows' : 'send window', 'chart'], ['waits for', '']]) head.append(make('span', { class: kind }, name))
  at('connections').replaceChildren(head, ...all.slice(0, 100).map((one) => make('div', { class: 'row connection' },
    make('span', { class: 'name', title: `connection ${one.id}, ${one.is_tls ? 'TLS' : 'cleartext'}, open for ${time(now() - one.opened)}` }, one.peer || 'connection ' + one.id),
    make('span', { class: 'faint' }, one.protocol),
    make('span', { class: 'number' }, one.streams + (one.streams === 1 ? ' stream' : ' streams')),
    make('span', { class: 'number', title: bytes(one.sent) + ' in all' }, '↑ ' + bytes(one.out) + '/s'),
    make('span', { class: 'number', title: bytes(one.received) + ' in all' }, '↓ ' + bytes(one.in) + '/s'),
    make('span', { class: 'chart' }, spark(one)),
    make('span', { class: 'cause stall ' + (one.stall || '') }, one.stall ? CAUSES[one.stall] : ''))))
  if (!all.length) at('connections').append(make('p', { class: 'note' }, 'No connection is open.'))
  const more = Math.max(0, all.length - 100) + unlisted
  at('unlisted').textContent = more ? `${more} more connections` : ''
}

// The windows over time, each against the most that it was.
function spark (one) {
  if (one.send_window === null && one.peer_window === null) return make('span', { class: 'faint' }, 'no window')
  const label = [
    one.send_window !== null && `${BETWEEN ? 'the server may send' : 'send window'} ${bytes(one.send_window)} of ${bytes(one.most)}`,
    one.peer_window !== null && `the client may send ${bytes(one.peer_window)} of ${bytes(one.most_of_peer)}`
  ].filter(Boolean).join('; ')
  const svg = draw('svg', { class: 'spark', viewBox: '0 0 240 24', preserveAspectRatio: 'none', role: 'img', 'aria-label': label })
  svg.append(draw('title', {}, label))
  if (one.send_window !== null) svg.append(steps(one.points.map((point) => point[1]), one.most, ''))
  if (one.peer_window !== null) svg.append(steps(one.points.map((point) => point[4]), one.most_of_peer, 'peer'))
  return svg
}

// Values as steps, the latest at the right; null is a gap.
function steps (values, most, kind) {
  let path = '', known = false
  values.forEach((value, index) => {
    if (value !== null) {
      const x = 240 - values.length + index, y = (23 - 22 * value / (most || 1)).toFixed(1)
      path += known ? `H${x}V${y}` : `M${x} ${y}`
    }
    known = value !== null
  })
  return draw('path', { d: path, class: kind })
}

function measures () {
  at('measured').hidden = !measured.size
  at('figures').replaceChildren(...[...measured.values()].map(({ name, unit, value, values }) => {
    const text = unit === 'time' ? precise : (count) => Math.round(count).toLocaleString('en') + (unit === 'rate' ? '/s' : '')
    const most = Math.max(...values)
    const label = `${name}: at most ${text(most)} in the last minute`
    const svg = draw('svg', { class: 'spark', viewBox: '0 0 240 24', preserveAspectRatio: 'none', role: 'img', 'aria-label': label })
    svg.append(draw('title', {}, label), steps(values, most, ''))
    return make('div', { class: 'tile' }, make('b', {}, value === null ? '–' : text(value)), make('span', {}, name), svg)
  }))
}

function figure (name, value, part, kind) {
  const svg = draw('svg', { viewBox: '0 0 100 4', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, draw('rect', { class: kind, width: Math.min(100, part * 100), height: 4 }))
  return make('div', { class: 'figure' }, make('div', {}, make('span', {}, name), make('span', {}, value)), svg)
}

function figures (id, entries, none) {
  entries.sort((a, b) => b[1] - a[1])
  const most = Math.max(1, ...entries.map(([, count]) => count))
  at(id).replaceChildren(...entries.slice(0, 12).map(([name, count]) => figure(name, count.toLocaleString('en'), count / most, 'moving')))
  if (!entries.length) at(id).append(make('p', { class: 'note' }, none))
}

// Of each limit, the connection that is nearest to it.
function limits () {
  const worst = new Map()
  const consider = (gauge, whose) => {
    const part = gauge.bound ? gauge.used / gauge.bound : 0
    if (!worst.has(gauge.name) || worst.get(gauge.name).part < part) worst.set(gauge.name, { ...gauge, part, whose })
  }
  for (const gauge of gauges) consider(gauge, 'the process')
  for (const one of connections.values()) for (const gauge of one.limits) consider(gauge, one.peer || 'connection ' + one.id)
  const all = [...worst.values()].sort((a, b) => b.part - a.part)
  at('limits').replaceChildren(...all.map((gauge) => {
    const size = /bytes|memory|cut_ahead/.test(gauge.name) ? bytes : (count) => count.toLocaleString('en')
    const shown = figure(gauge.name, `${Math.round(gauge.part * 100)} %`, gauge.part, gauge.part > 0.8 ? 'full' : 'moving')
    shown.append(make('p', { class: 'note' }, `${size(gauge.used)} of ${size(gauge.bound)}, ${gauge.whose}`))
    return shown
  }))
  if (!all.length) at('limits').append(make('p', { class: 'note' }, 'No connection has limits that are known.'))
}

function protocols () {
  const all = sum(totals.opened) || 1
  at('protocols').replaceChildren(...Object.entries(totals.opened).sort((a, b) => b[1] - a[1]).map(([name, count]) =>
    figure(name, `${totals.open[name] || 0} open of ${count}; ${(totals.requests[name] || 0).toLocaleString('en')} req.`, count / all, 'moving')))
  const statuses = totals.statuses.map((count, index) => count && `${count.toLocaleString('en')} × ${index}xx`).filter(Boolean)
  at('protocols').append(make('p', { class: 'note' }, statuses.length ? 'Responses seen: ' + statuses.join(', ') : 'No response was seen yet.'))
}

function talkers () {
  const peers = new Map()
  for (const one of connections.values()) {
    const peer = one.peer.replace(/:\d+$/, '') || 'unknown'
    peers.set(peer, (peers.get(peer) || 0) + rate(one.points, 2, 10_000) + rate(one.points, 3, 10_000))
  }
  const all = [...peers].filter(([, moved]) => moved > 0).sort((a, b) => b[1] - a[1])
  const most = Math.max(1, ...all.map(([, moved]) => moved))
  at('talkers').replaceChildren(...all.slice(0, 10).map(([peer, moved]) => figure(peer, bytes(moved) + '/s', moved / most, 'moving')))
  if (!all.length) at('talkers').append(make('p', { class: 'note' }, 'Nobody sends or receives content.'))
}

function pause () {
  paused = !paused
  at('pause').setAttribute('aria-pressed', String(paused))
  at('pause').firstChild.data = paused ? 'Continue ' : 'Pause '
  if (paused) {
    disconnect()
    state('', 'paused')
  } else {
    connect()
  }
}

for (const [phase, name] of Object.entries(NAMES)) {
  // The reader of others is not known, and no stream waits for another.
  if (phase !== 'max_streams' && !(BETWEEN && phase === 'reader')) at('key').append(make('span', {}, make('i', { class: 'k-' + phase }), name), ' ')
}
if (BETWEEN) at('lines').textContent = 'The lines are the windows of the connection over time, of the server (solid) and of the client (dashed): at the bottom, that side may send no more.'
at('pause').addEventListener('click', pause)
at('controls').addEventListener('submit', (event) => event.preventDefault())
at('controls').addEventListener('input', schedule)
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return
  if (event.key === 'p') pause()
  if (event.key === '/') {
    event.preventDefault()
    at('filter').focus()
  }
})
// A tab that nobody sees costs nothing.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) disconnect()
  else connect()
})
setInterval(schedule, 250)
connect()
