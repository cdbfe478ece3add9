'use strict'

// node browse.js DRIVER-PORT CERT URL COMMAND …   Chromium, without a window
//
//   page N              loads URL, and prints how many resources came, over what
//   download PATH       prints `LENGTH SHA256` of PATH
//   upload PATH SIZE    posts SIZE bytes in one piece, then as a stream; prints the
//                       answers, and the digest that they should have
//   events PATH N       reads N Server-Sent Events
//   live CAUSE          loads URL, a live page, until it shows a stall with this cause; prints what
//                       it shows in 1280 and in 360 pixels, and writes a picture of each to $SCREENSHOTS
//   directory NAME      loads URL, a page of a directory with a file of this name; prints how it is set in
//                       1280 and in 360 pixels, with pictures as for live
//   websocket PATH N    sends N messages of growing size, each echoed
//
// Drives a chromedriver that listens on DRIVER-PORT. CERT is trusted by its key.
// CHROMIUM_PROXY names a proxy, for loopback as well.

const crypto = require('crypto')
const fs = require('fs')

const [driver, cert, url, command, ...args] = process.argv.slice(2)

// Each runs in the page; `done` ends it with what is to be printed.
const commands = {
  async page (done, count) {
    const wanted = Number(count)
    let entries = []
    for (let i = 0; i < 300 && entries.length < wanted; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      entries = performance.getEntriesByType('resource').filter((entry) => entry.responseEnd > 0)
    }
    const [navigation] = performance.getEntriesByType('navigation')
    const all = [navigation, ...entries]
    const wrong = all.filter((entry) => entry.nextHopProtocol !== 'h2' || entry.responseStatus !== 200)
    const bytes = entries.reduce((sum, entry) => sum + entry.decodedBodySize, 0)
    const kinds = {}
    for (const entry of entries) kinds[entry.initiatorType] = (kinds[entry.initiatorType] || 0) + 1
    wrong.length
      ? done('FAIL ' + wrong.length + ' wrong, such as ' + JSON.stringify(wrong[0]))
      : done(`${entries.length} resources over h2, ${bytes} bytes, ${window.ran} scripts ran ${JSON.stringify(kinds)}`)
  },
  async download (done, path) {
    const body = await (await fetch(path, { cache: 'no-store' })).arrayBuffer()
    done(`${body.byteLength} ${hex(await crypto.subtle.digest('SHA-256', body))}`)
  },
  async upload (done, path, size) {
    const body = new Uint8Array(Number(size))
    for (let at = 0; at < body.length; at++) body[at] = (at * 2654435761) >>> 24
    const whole = await (await fetch(path, { method: 'POST', body })).text()
    let at = 0
    const stream = new ReadableStream({
      pull (controller) {
        controller.enqueue(body.slice(at, at += 100_000))
        if (at >= body.length) controller.close()
      }
    })
    const streamed = await (await fetch(path, { method: 'POST', body: stream, duplex: 'half' })).text()
    const digest = `${body.length} ${hex(await crypto.subtle.digest('SHA-256', body))}`
    done(whole === digest && streamed === digest ? 'both arrived' : `FAIL ${whole}, ${streamed}, not ${digest}`)
  },
  events (done, path, count) {
    let next = 0
    const source = new EventSource(path)
    source.onerror = () => done(`FAIL error after ${next} events`)
    source.onmessage = (event) => {
      if (event.data !== 'event ' + next) return done(`FAIL ${event.data} came as number ${next}`)
      if (++next < Number(count)) return
      source.close()
      done(next + ' events')
    }
  },
  async live (done, cause) {
    const find = () => document.querySelector('.stall.' + cause)
    // A page is 20 s old at most.
    for (let i = 0; i < 200 && !find(); i++) {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    // Whoever looks wants to see some of its course.
    await new Promise((resolve) => setTimeout(resolve, 2000))
    const text = (id) => document.getElementById(id).textContent
    const stall = find()
    const place = stall && stall.closest('.row').querySelector('.name').firstChild.data.trim()
    const figures = document.querySelectorAll('#figures .tile').length
    const root = document.documentElement
    document.getElementById('pause').focus()
    document.dispatchEvent(new KeyboardEvent('keydown', { key: 'p' }))
    const paused = document.getElementById('pause').getAttribute('aria-pressed')
    const again = text('state')
    document.dispatchEvent(new KeyboardEvent('keydown', { key: 'p' }))
    document.dispatchEvent(new KeyboardEvent('keydown', { key: '/' }))
    const focused = document.activeElement.id
    done([
      text('state') === 'paused' ? 'FAIL still paused' : 'live',
      stall ? stall.textContent + ' at ' + place : 'no stall',
      `${document.querySelectorAll('.bar .' + cause).length} bars stall`, `${figures} figures`,
      `key p: ${paused} ${again}`, `key /: ${focused}`,
      root.scrollWidth > root.clientWidth ? `FAIL ${root.scrollWidth} pixels wide` : 'fits'
    ].join(', '))
  },
  directory (done, name) {
    const root = document.documentElement
    const link = [...document.querySelectorAll('td a')].find((link) => link.textContent === name)
    if (!link) return done('FAIL the file is not there')
    const [named, size, time] = [...link.closest('tr').children].map((cell) => cell.getBoundingClientRect())
    const inside = (box) => box.left >= 0 && box.right <= root.clientWidth && box.width > 0
    const text = document.createRange()
    text.selectNodeContents(link)
    const lines = new Set([...text.getClientRects()].map((line) => Math.round(line.top))).size
    const orders = [...document.querySelectorAll('th a')].filter((order) => inside(order.getBoundingClientRect()))
    const heading = document.querySelector('h1').getBoundingClientRect()
    const first = document.querySelector('tbody tr').getBoundingClientRect()
    done([
      inside(text.getBoundingClientRect()) ? (lines > 1 ? 'name wraps' : 'name in a line') : 'FAIL name is cut',
      size.top >= named.bottom - 1 && time.top >= named.bottom - 1 ? 'size and time below' : 'size and time beside',
      inside(size) && inside(time) ? 'both inside' : 'FAIL size or time is outside',
      `${orders.length} orders`,
      first.top - heading.bottom < 120 ? 'list at the top' : 'FAIL the list is pushed away',
      root.scrollWidth > root.clientWidth ? `FAIL ${root.scrollWidth} pixels wide` : 'fits'
    ].join(', '))
  },
  websocket (done, path, count) {
    const socket = new WebSocket(`wss://${location.host}${path}`)
    const message = (number) => `${number} `.repeat(1 + number * number)
    let next = 0
    socket.onerror = () => done('FAIL websocket error')
    socket.onopen = () => socket.send(message(next))
    socket.onclose = (event) => done(`${next} echoes, closed ${event.code} ${event.wasClean}`)
    socket.onmessage = (event) => {
      if (event.data !== message(next)) done(`FAIL echo ${next} differs`)
      ++next < Number(count) ? socket.send(message(next)) : socket.close(1000)
    }
  }
}

function hex (buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

async function webdriver (method, path, body) {
  const response = await fetch(`http://127.0.0.1:${driver}/session${path}`, {
    method,
    body: body && JSON.stringify(body)
  })
  const { value } = await response.json()
  if (!response.ok) throw new Error(value.message)
  return value
}

async function run () {
  const proxy = process.env.CHROMIUM_PROXY
  const key = new crypto.X509Certificate(fs.readFileSync(cert)).publicKey
  const pin = crypto.createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('base64')
  const { sessionId } = await webdriver('POST', '', {
    capabilities: {
      alwaysMatch: {
        timeouts: { script: 60_000, pageLoad: 30_000 },
        'goog:loggingPrefs': { browser: 'ALL' },
        'goog:chromeOptions': {
          args: [
            '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
            '--disable-background-networking', '--disable-dev-shm-usage',
            '--ignore-certificate-errors-spki-list=' + pin,
            ...(proxy ? ['--proxy-server=' + proxy, '--proxy-bypass-list=<-loopback>'] : [])
          ]
        }
      }
    }
  })
  try {
    if (command === 'live' || command === 'directory') {
      fs.mkdirSync(process.env.SCREENSHOTS, { recursive: true })
      const shown = []
      for (const [width, scheme] of [[1280, 'light'], [360, 'dark']]) {
        await cdp(sessionId, 'Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: false })
        await cdp(sessionId, 'Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
        await webdriver('POST', `/${sessionId}/url`, { url })
        shown.push(`${width}: ${await inPage(sessionId)}`)
        const picture = await cdp(sessionId, 'Page.captureScreenshot', { captureBeyondViewport: true })
        fs.writeFileSync(`${process.env.SCREENSHOTS}/${command}-${width}-${scheme}.png`, Buffer.from(picture.data, 'base64'))
      }
      // What the policy of the page forbids is in the browser's log.
      const log = await webdriver('POST', `/${sessionId}/se/log`, { type: 'browser' })
      const complaints = log.map((line) => line.message).filter((line) => !line.includes('favicon'))
      const text = shown.concat(complaints).join('\n')
      return complaints.length || text.includes('FAIL') ? 'FAIL ' + text : text
    }
    await webdriver('POST', `/${sessionId}/url`, { url })
    return await inPage(sessionId)
  } finally {
    await webdriver('DELETE', `/${sessionId}`)
  }
}

function cdp (sessionId, cmd, params) {
  return webdriver('POST', `/${sessionId}/goog/cdp/execute`, { cmd, params })
}

// Runs the command in the page.
function inPage (sessionId) {
  return webdriver('POST', `/${sessionId}/execute/async`, {
    script: `${hex}
      const args = [...arguments], done = args.pop()
      const run = { ${commands[command]} }.${command}
      Promise.resolve(run(done, ...args)).catch((error) => done('FAIL ' + error.stack))`,
    args
  })
}

if (!commands[command]) {
  console.log('usage: DRIVER-PORT CERT URL COMMAND …')
  process.exit(2)
}
run().then((printed) => {
  console.log(printed)
  process.exit(String(printed).startsWith('FAIL') ? 1 : 0)
}, (error) => {
  console.log('FAIL ' + error.stack)
  process.exit(1)
})
